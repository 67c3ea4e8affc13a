-- Forgets idempotency keys whose time is over, whatever minute they were remembered in.
-- KEYS the index of what is remembered. ARGV how many keys are enough for one call: it stops behind the bundle with the last of them.
-- Returns how many were forgotten.
local t = redis.call('TIME')
local now, enough, forgotten = t[1] * 1000 + math.floor(t[2] / 1000), tonumber(ARGV[1]), 0
while forgotten < enough do
  local minute = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1)[1]
  if not minute then break end
  local bundle = redis.call('LPOP', minute)
  if bundle then
    local keys = {}
    for key in string.gmatch(bundle, '[^\n]+') do keys[#keys + 1] = key end
    redis.call('UNLINK', unpack(keys))
    forgotten = forgotten + #keys
  else redis.call('ZREM', KEYS[1], minute) end
end
return forgotten
