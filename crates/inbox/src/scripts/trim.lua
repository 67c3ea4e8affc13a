-- Drops hot items that the record holds in the very same revision, but for the newest; never what is unread from the set.
--
-- ARGV[3] how many to keep, ARGV[4] how long ids are known in ms, ARGV[5…] per item: seq, rev
-- Returns the number dropped, or 'cold'.
local n, spare = 0, redis.call('ZCARD', ORDER) - tonumber(ARGV[3])
for i = 5, #ARGV, 2 do
  local seq, rev = ARGV[i], ARGV[i + 1]
  local state = redis.call('HGET', STATE, seq)
  local rank = redis.call('ZRANK', ORDER, seq)
  if n < spare and rank and rank < spare - n and state and parse(state).rev == rev then
    local s = parse(state)
    redis.call('ZREM', ORDER, seq) redis.call('HDEL', CARDS, seq) redis.call('HDEL', STATE, seq) redis.call('ZREM', REVS, seq)
    if redis.call('SISMEMBER', UNREAD, seq) == 1 then redis.call('HSET', COLD_UNREAD, seq, state)
    else -- its expiry concerns the record only, which leaves expired items out by itself
      for _, member in ipairs({ seq .. ' ' .. s.id }) do redis.call('ZREM', EXPIRES, member) end
    end
    local known_at = tonumber(string.match(redis.call('HGET', IDS, s.id) or '0 0', ' (%d+)$'))
    if known_at < NOW - ARGV[4] then redis.call('HDEL', IDS, s.id) end
    raise('base', rev)
    raise('floor', int(tonumber(seq) + 1))
    n = n + 1
  end
end
return n
