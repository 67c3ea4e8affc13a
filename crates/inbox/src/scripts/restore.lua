-- Puts trimmed items back, so that they can be changed. Takes no rev: nothing changed.
--
-- ARGV[3…] per item: seq, item, expiry or 0
-- Returns the number put back, or 'cold'.
local n = 0
for i = 3, #ARGV, 3 do
  local seq, s, expiry = ARGV[i], parse(ARGV[i + 1]), ARGV[i + 2]
  local id = s.id
  if redis.call('HEXISTS', ITEMS, seq) == 0 and redis.call('ZSCORE', GONE, id) == false then
    -- whether it is unread is known here better than in the record, which may lag
    local unread = redis.call('SISMEMBER', UNREAD, seq) == 1
    if unread then s.read = 0 s.archived = 0
    elseif s.read == 0 and s.archived == 0 then s.read = NOW end
    redis.call('ZADD', ORDER, seq, seq) redis.call('HSET', ITEMS, seq, told(s.rev, s) .. s.rest)
    redis.call('HSETNX', ITEMS, 'i' .. id, seq .. ' 0') -- one that is still known stays known for as long
    redis.call('HDEL', COLD_UNREAD, seq)
    if expiry == '0' then redis.call('ZREM', EXPIRES, seq .. ' ' .. id)
    else
      redis.call('ZADD', EXPIRES, expiry, seq .. ' ' .. id)
      tidy_from(tonumber(expiry))
    end
    n = n + 1
  end
end
return n
