-- Writes one item and publishes its card, unless the inbox knows the notification already.
--
-- ARGV[3] notification id, [4] variant of its content, [5] expiry in ms or 0, [6] card
-- Returns {1 if new, seq, rev of its latest change, unread, when it was written (ms)} or 'cold'.
local id = ARGV[3]
local known = redis.call('HGET', ITEMS, 'i' .. id)
if known then
  local seq = string.match(known, '^%d+')
  local state, card = unpack(redis.call('HMGET', ITEMS, seq, 'c' .. seq))
  local rev, written = string.match(state or REV, '^%d+'), string.match(card or ARGV[1], '^%d+')
  return { 0, seq, rev, redis.call('SCARD', UNREAD), written }
end
local seq, rev = int(SEQ + 1), next_rev()
-- by Redis's clock, as the timeline, so that the two merge into one order; never back, whatever the clock does
local time = redis.call('TIME')
local at = int(math.max(tonumber(AT or '0'), tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)))
redis.call('HSET', ITEMS, seq, rev .. ' 0 0 0 ' .. id, 'c' .. seq, at .. ' ' .. ARGV[4] .. '\n' .. ARGV[6],
  'i' .. id, seq .. ' ' .. ARGV[1])
redis.call('ZADD', ORDER, seq, seq)
redis.call('SADD', UNREAD, seq)
if ARGV[5] ~= '0' then
  redis.call('ZADD', EXPIRES, ARGV[5], seq .. ' ' .. id)
  tidy_from(tonumber(ARGV[5]))
end
return { 1, seq, rev, publish('item', ARGV[6], 'seq', seq, 'at', at), at }
