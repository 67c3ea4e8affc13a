-- Builds a cold timeline from the record; does nothing if somebody else was faster.
--
-- It runs without the head of the other scripts, which would answer 'cold'. KEYS as there. Stands behind _history.lua.
-- ARGV[1] epoch, which is the present time in ms, [2] rev to begin with; then per entry: seq, rev, at, id, expiry or 0 (0 if it
-- is gone), the entry
-- Returns 1 if it was built, 0 if it was there.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
for i = 2, 6 do redis.call('DEL', KEYS[i]) end -- what a partial loss left behind must not be mixed in
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'rev', ARGV[2], 'base', ARGV[2], 'history', (history()))
for i = 3, #ARGV, 6 do
  local seq, rev, at, id, expiry, value = unpack(ARGV, i, i + 5)
  redis.call('HSET', KEYS[2], seq, value) redis.call('ZADD', KEYS[3], rev, seq) redis.call('ZADD', KEYS[5], at, seq)
  redis.call('HSET', KEYS[6], id, seq)
  if expiry ~= '0' then redis.call('ZADD', KEYS[4], expiry, seq) end
end
return 1
