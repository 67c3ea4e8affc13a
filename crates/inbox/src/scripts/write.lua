-- Writes one item and publishes its card, unless the inbox knows the notification already.
--
-- ARGV[3] notification id, [4] variant of its content, [5] expiry in ms or 0, [6] card, [7] how long ids are known in ms
-- Returns {1 if new, seq, rev of its latest change, unread, when it was written (ms)} or 'cold'.
local id = ARGV[3]
local known = redis.call('HGET', IDS, id)
if known then
  local seq = string.match(known, '^%d+')
  local state = redis.call('HGET', STATE, seq)
  local written = string.match(redis.call('HGET', CARDS, seq) or ARGV[1], '^%d+')
  return { 0, seq, state and parse(state).rev or REV, redis.call('SCARD', UNREAD), written }
end
local seq, rev = int(SEQ + 1), int(REV + 1)
-- ids that are known for long enough and belong to no hot item are let go, a few at a time
for _, old in ipairs(redis.call('ZRANGEBYSCORE', SEEN, '-inf', NOW - ARGV[7], 'LIMIT', 0, 4)) do
  redis.call('ZREM', SEEN, old)
  local place = string.match(redis.call('HGET', IDS, old) or '0', '^%d+')
  if redis.call('HEXISTS', STATE, place) == 0 then redis.call('HDEL', IDS, old) end
end
-- by Redis's clock, as the timeline, so that the two merge into one order; never back, whatever the clock does
local time = redis.call('TIME')
local at = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
at = int(math.max(tonumber(AT or '0'), at))
redis.call('HSET', META, 'seq', seq, 'rev', rev, 'at', at)
redis.call('ZADD', ORDER, seq, seq)
redis.call('HSET', CARDS, seq, at .. ' ' .. ARGV[4] .. '\n' .. ARGV[6])
redis.call('HSET', STATE, seq, rev .. ' 0 0 0 ' .. id)
redis.call('SADD', UNREAD, seq)
redis.call('HSET', IDS, id, seq .. ' ' .. ARGV[1])
redis.call('ZADD', SEEN, NOW, id)
redis.call('ZADD', REVS, rev, seq)
if ARGV[5] ~= '0' then redis.call('ZADD', EXPIRES, ARGV[5], seq .. ' ' .. id) end
return { 1, seq, rev, publish('item', rev, ARGV[6]), at }
