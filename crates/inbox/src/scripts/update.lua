-- Says a hot item otherwise; what the person did with it stays.
--
-- ARGV[3] notification id, [4] variant of its content, [5] expiry in ms or 0, [6] card
-- Returns {1 changed, 0 it is not hot; rev} or 'cold'.
local id = ARGV[3]
local known = redis.call('HGET', ITEMS, 'i' .. id)
if not known then return { 0, REV } end
local seq = string.match(known, '^%d+')
local found = look({ seq })
if not found[1] then return { 0, REV } end
local s = parse(found[1])
local at, before = string.match(s.rest, '^\n(%d+) (.*)$')
local after = ARGV[4] .. '\n' .. ARGV[6]
if before == after then return { 1, s.rev } end
local rev = next_rev()
redis.call('HSET', ITEMS, seq, told(rev, s) .. '\n' .. at .. ' ' .. after)
redis.call('ZADD', REVS, rev, seq)
redis.call('ZREM', EXPIRES, seq .. ' ' .. id)
if ARGV[5] ~= '0' then
  redis.call('ZADD', EXPIRES, ARGV[5], seq .. ' ' .. id)
  tidy_from(tonumber(ARGV[5]))
end
publish('update', string.match(told(rev, s), '^%d+ (.*)$') .. '\n' .. ARGV[6])
return { 1, rev }
