-- Drops hot items that the record holds in the very same revision, but for the newest; never what is unread from the set.
--
-- ARGV[3] how many to keep, ARGV[4…] per item: seq, rev
-- Returns the number dropped, or 'cold'.
local n, spare = 0, redis.call('ZCARD', ORDER) - tonumber(ARGV[3])
for i = 4, #ARGV, 2 do
  local seq, rev = ARGV[i], ARGV[i + 1]
  local item = redis.call('HGET', ITEMS, seq)
  local rank = redis.call('ZRANK', ORDER, seq)
  local s = item and parse(item)
  if n < spare and rank and rank < spare - n and s and s.rev == rev then
    leave(seq, s.id)
    if redis.call('SISMEMBER', UNREAD, seq) == 1 then redis.call('HSET', COLD_UNREAD, seq, told(s.rev, s))
    -- its expiry concerns the record only, which leaves expired items out by itself
    else redis.call('ZREM', EXPIRES, seq .. ' ' .. s.id) end
    if tonumber(rev) > tonumber(BASE) then BASE = rev end
    if tonumber(seq) >= tonumber(FLOOR) then FLOOR = int(tonumber(seq) + 1) end
    n = n + 1
  end
end
if n > 0 then keep_whole() end
return n
