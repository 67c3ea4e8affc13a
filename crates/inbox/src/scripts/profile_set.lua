-- Sets fields of a recipient's hot profile, each only if what is there is not newer, and gives the whole back.
--
-- Two requests that set the same field may be dispatched in either order: the time of acceptance decides.
-- A field is kept as "<at> <json>"; a field that was cleared as "<at> null".
--
-- KEYS[1] hash of the profile
-- ARGV[1] lifetime of the hot copy in ms
-- ARGV[2] 1 if these fields are all there is to know (from the record), else 0
-- ARGV[3…] name, at (ms), json
-- Returns {1 if the hot copy is complete, name, value, …}
for i = 3, #ARGV, 3 do
  local held = redis.call('HGET', KEYS[1], ARGV[i])
  local held_at = held and tonumber(string.match(held, '^%d+'))
  if not held_at or held_at <= tonumber(ARGV[i + 1]) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1] .. ' ' .. ARGV[i + 2])
  end
end
if ARGV[2] == '1' then redis.call('HSET', KEYS[1], 'complete', '1') end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
local fields = redis.call('HGETALL', KEYS[1])
local out = { 0 }
for i = 1, #fields, 2 do
  if fields[i] == 'complete' then out[1] = 1
  else out[#out + 1] = fields[i]; out[#out + 1] = string.match(fields[i + 1], '^%d+ (.*)$') end
end
return out
