-- Counts what a job uses up against limits for a day (UTC, on Redis's clock), once a job, and only if it fits into all.
-- KEYS record, then a hash a limit. ARGV units, then the most a day for each. Returns 0, or the number (from 1) of the limit
-- that is reached; then nothing is counted.
if redis.call('HGET', KEYS[1], 'spent') then return 0 end -- a later attempt
local day = math.floor(redis.call('TIME')[1] / 86400)
local units = tonumber(ARGV[1])
local used = {}
for i = 2, #KEYS do
  local u = redis.call('HMGET', KEYS[i], 'day', 'used')
  used[i] = tonumber(u[1]) == day and tonumber(u[2]) or 0
  if used[i] + units > tonumber(ARGV[i]) then return i - 1 end
end
for i = 2, #KEYS do
  redis.call('HSET', KEYS[i], 'day', day, 'used', used[i] + units)
  redis.call('EXPIRE', KEYS[i], 172800)
end
-- Without a record the job is over: there is nothing to remember it by.
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'spent', units) end
return 0
