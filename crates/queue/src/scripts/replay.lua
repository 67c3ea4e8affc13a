-- Puts a dead letter back on its lane, its tries counted anew; its record is opened again.
-- KEYS dead, high, normal, bulk, record, bundled. ARGV id of the letter. Returns 1, or 0 if there is none.
local letter = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not letter then return 0 end
local f = {}
for i = 1, #letter[2], 2 do f[letter[2][i]] = letter[2][i + 1] end
-- A letter outlives its record: without one, a claim would take the job for one that ended long ago.
if redis.call('EXISTS', KEYS[5]) == 0 then redis.call('HSET', KEYS[5], 'tries', f.n or f.a) end
redis.call('HSET', KEYS[5], 'state', 'queued', 'holder', '', 'until', 0, 'doubt', 0)
redis.call('HDEL', KEYS[5], 'outcome')
redis.call('PERSIST', KEYS[5])
redis.call('XADD', KEYS[2 + f.l], '*', 'j', f.i .. ' ' .. f.d)
local jobs = string.match(f.d, '^%*(%d+)$') -- of a bundle
if jobs then redis.call('HINCRBY', KEYS[6], f.l, jobs - 1) end
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
