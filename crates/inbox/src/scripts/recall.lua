-- Withdraws an item, whether it was read or not. Repeating it changes nothing.
--
-- ARGV[3] notification id, ARGV[4] its place if the record knows it, or ''
-- Returns {1 withdrawn, 0 it was withdrawn or expired before, -1 not known here; rev} or 'cold'.
local id = ARGV[3]
local known = redis.call('HGET', ITEMS, 'i' .. id)
local seq = known and string.match(known, '^%d+') or ARGV[4]
if redis.call('ZSCORE', GONE, id) then return { 0, REV } end
if seq == '' then return { -1, REV } end
local rev = next_rev()
leave(seq, id)
redis.call('SREM', UNREAD, seq) redis.call('HDEL', COLD_UNREAD, seq) redis.call('ZREM', EXPIRES, seq .. ' ' .. id)
redis.call('ZADD', GONE, rev, id)
forget_gone()
publish('state', 'recalled\n0 0 0 ' .. id)
return { 1, rev }
