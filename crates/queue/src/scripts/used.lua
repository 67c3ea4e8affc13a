-- How much of each budget is used up today (UTC, on Redis's clock). KEYS a hash a limit, as in spend.lua. Returns a number for each.
local day = math.floor(redis.call('TIME')[1] / 86400)
local used = {}
for i = 1, #KEYS do
  local u = redis.call('HMGET', KEYS[i], 'day', 'used')
  used[i] = tonumber(u[1]) == day and tonumber(u[2]) or 0
end
return used
