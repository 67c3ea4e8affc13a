-- Comes before every script, where something is due: items whose time is over leave, and what was known for long enough is
-- forgotten; at most 100 of each a call, the rest next time.
local over = redis.call('ZRANGEBYSCORE', EXPIRES, '-inf', NOW, 'LIMIT', 0, 100)
if #over > 0 then
  local rev, ids = next_rev(), {}
  for i, member in ipairs(over) do
    local seq, id = string.match(member, '^(%d+) (.*)$')
    redis.call('ZREM', EXPIRES, member)
    leave(seq, id)
    redis.call('SREM', UNREAD, seq) redis.call('HDEL', COLD_UNREAD, seq)
    redis.call('ZADD', GONE, rev, id)
    ids[i] = '\n0 0 0 ' .. id
  end
  forget_gone()
  publish('state', 'expired' .. table.concat(ids))
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KNOWN, '-inf', NOW - KNOWN_FOR, 'LIMIT', 0, 100)) do
  redis.call('ZREM', KNOWN, id)
  local seq = string.match(redis.call('HGET', ITEMS, 'i' .. id) or '0', '^%d+')
  if redis.call('HEXISTS', ITEMS, seq) == 0 then redis.call('HDEL', ITEMS, 'i' .. id) end
end
local expiry, known = redis.call('ZRANGE', EXPIRES, 0, 0, 'WITHSCORES')[2], redis.call('ZRANGE', KNOWN, 0, 0, 'WITHSCORES')[2]
DUE = math.min(expiry and tonumber(expiry) or math.huge, known and tonumber(known) + KNOWN_FOR or math.huge)
keep_whole()
