-- Keeps what a worker says about itself, with Redis's time, and drops who has been silent ten times as long as a report counts.
-- KEYS reports. ARGV worker, words, how long a report counts in ms.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f ', now) .. ARGV[2])
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local at = tonumber(string.match(all[i + 1], '^%d+')) or 0
  if now - at > 10 * ARGV[3] then redis.call('HDEL', KEYS[1], all[i]) end
end
redis.call('PEXPIRE', KEYS[1], 10 * ARGV[3])
