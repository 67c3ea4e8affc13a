-- Says a hot item otherwise; what the person did with it stays.
--
-- ARGV[3] notification id, [4] variant of its content, [5] expiry in ms or 0, [6] card
-- Returns {1 changed, 0 it is not hot; rev} or 'cold'.
local id = ARGV[3]
local known = redis.call('HGET', IDS, id)
local seq = known and string.match(known, '^%d+')
local state = seq and redis.call('HGET', STATE, seq)
if not state then return { 0, REV } end
local at, before = string.match(redis.call('HGET', CARDS, seq), '^(%d+) (.*)$')
local after = ARGV[4] .. '\n' .. ARGV[6]
if before == after then return { 1, parse(state).rev } end
local rev, s = next_rev(), parse(state)
redis.call('HSET', CARDS, seq, at .. ' ' .. after)
redis.call('HSET', STATE, seq, told(rev, s))
redis.call('ZADD', REVS, rev, seq)
redis.call('ZREM', EXPIRES, seq .. ' ' .. id)
if ARGV[5] ~= '0' then redis.call('ZADD', EXPIRES, ARGV[5], seq .. ' ' .. id) end
publish('update', rev, string.match(told(rev, s), '^%d+ (.*)$') .. '\n' .. ARGV[6])
return { 1, rev }
