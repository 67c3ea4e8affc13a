-- Ends a job's record with an outcome, which every later claim is given. Safe to repeat by whoever ended it.
-- KEYS record. ARGV holder, state, outcome. Returns 1, or 0 if somebody else holds the job or has ended it.
local r = redis.call('HMGET', KEYS[1], 'state', 'holder', 'by')
if not r[1] then return 0 end
if r[1] ~= 'queued' and r[1] ~= 'claimed' and r[1] ~= 'sending' then return r[3] == ARGV[1] and 1 or 0 end
if r[2] and r[2] ~= '' and r[2] ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'outcome', ARGV[3], 'holder', '', 'until', 0, 'by', ARGV[1])
redis.call('HDEL', KEYS[1], 'cancel')
return 1
