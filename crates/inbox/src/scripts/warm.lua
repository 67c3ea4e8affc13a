-- Builds a cold inbox from the record; does nothing if somebody else was faster.
--
-- It runs without the head of the other scripts, which would answer 'cold'. KEYS as there. Stands behind _history.lua.
-- ARGV[1] epoch, which is the present time in ms, [2] rev to begin with, [3] seq to begin with, [4] floor, [5] number of items,
--   [6] number of fields of the reader; then these: field, value; then per item: seq, item, expiry or 0; then per unread item
--   beyond these: seq, id, expiry or 0
-- Returns 1 if it was built, 0 if it was there.
local HEAD, ITEMS, ORDER, UNREAD, EXPIRES, COLD_UNREAD = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[6], KEYS[9]
if redis.call('EXISTS', HEAD) == 1 then return 0 end
redis.call('DEL', unpack(KEYS, 1, 9)) -- what a partial loss left behind must not be mixed in
redis.call('HSET', ITEMS, 'history', (history()))
local at, unread, due = 7, 0, '0'
local function count(seq)
  unread = unread + redis.call('SADD', UNREAD, seq)
end
local function expire(expiry, seq, id)
  if expiry == '0' then return end
  redis.call('ZADD', EXPIRES, expiry, seq .. ' ' .. id)
  if due == '0' or tonumber(expiry) < tonumber(due) then due = expiry end
end
local fields = {}
for _ = 1, 2 * tonumber(ARGV[6]) do
  fields[#fields + 1] = ARGV[at]
  at = at + 1
end
for _ = 1, tonumber(ARGV[5]) do
  local seq, item, expiry = unpack(ARGV, at, at + 2)
  local read, archived, id = string.match(item, '^%d+ %d+ (%d+) (%d+) (%S+)')
  at = at + 3
  redis.call('ZADD', ORDER, seq, seq)
  -- when it was written is not told: it is known for 24 h from now
  redis.call('HSET', ITEMS, seq, item, 'i' .. id, seq .. ' ' .. ARGV[1])
  if read == '0' and archived == '0' then count(seq) end
  expire(expiry, seq, id)
end
while ARGV[at] do
  local seq, id, expiry = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  at = at + 3
  count(seq)
  redis.call('HSET', COLD_UNREAD, seq, '0 0 0 0 ' .. id)
  expire(expiry, seq, id)
end
for i = 1, #fields, 1000 do redis.call('HSET', HEAD, unpack(fields, i, math.min(i + 999, #fields))) end
redis.call('HSET', HEAD, 'whole', table.concat({ ARGV[1], ARGV[2], unread, ARGV[3], '0', ARGV[2], ARGV[4], due, ARGV[3] }, ' '))
return 1
