-- Builds a cold inbox from the record; does nothing if somebody else was faster.
--
-- It runs without the head of the other scripts, which would answer 'cold'. KEYS as there.
-- ARGV[1] epoch, which is the present time in ms, [2] rev to begin with, [3] seq to begin with, [4] floor, [5] number of items,
--   [6] number of fields of the reader; then these: field, value; then per item: seq, state, id, "written_at variant" LF card,
--   expiry or 0; then per unread item beyond these: seq, id, expiry or 0
-- Returns 1 if it was built, 0 if it was there.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
for i = 2, 12 do redis.call('DEL', KEYS[i]) end -- what a partial loss left behind must not be mixed in
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'rev', ARGV[2], 'base', ARGV[2], 'seq', ARGV[3], 'floor', ARGV[4])
local at = 7
for _ = 1, tonumber(ARGV[6]) do
  redis.call('HSET', KEYS[12], ARGV[at], ARGV[at + 1])
  at = at + 2
end
for _ = 1, tonumber(ARGV[5]) do
  local seq, state, id, card, expiry = unpack(ARGV, at, at + 4)
  at = at + 5
  redis.call('ZADD', KEYS[2], seq, seq) redis.call('HSET', KEYS[3], seq, card) redis.call('HSET', KEYS[4], seq, state)
  -- when it was written is not told: it is known for 24 h from now
  redis.call('HSET', KEYS[6], id, seq .. ' ' .. ARGV[1]) redis.call('ZADD', KEYS[7], ARGV[1], id)
  redis.call('ZADD', KEYS[9], string.match(state, '^%d+'), seq)
  local read, archived = string.match(state, '^%d+ %d+ (%d+) (%d+)')
  if read == '0' and archived == '0' then redis.call('SADD', KEYS[5], seq) end
  if expiry ~= '0' then redis.call('ZADD', KEYS[8], expiry, seq .. ' ' .. id) end
end
while ARGV[at] do
  local seq, id, expiry = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  at = at + 3
  redis.call('SADD', KEYS[5], seq) redis.call('HSET', KEYS[11], seq, '0 0 0 0 ' .. id)
  if expiry ~= '0' then redis.call('ZADD', KEYS[8], expiry, seq .. ' ' .. id) end
end
return 1
