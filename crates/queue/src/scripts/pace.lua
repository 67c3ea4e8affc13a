-- Gives turns at a steady rate to whoever asks (GCRA): `next` is when the next turn is, `promised` the latest time that those
-- who were sent away were told. KEYS pace. ARGV µs between turns, the longest wait for a turn in µs.
-- Returns {1, µs} the turn is taken and comes after so long, or {0, µs} come back after so long.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local step, longest = tonumber(ARGV[1]), tonumber(ARGV[2])
local p = redis.call('HMGET', KEYS[1], 'next', 'promised')
local next = math.max(tonumber(p[1]) or now, now)
local promised = math.max(tonumber(p[2]) or next, next)
local go, wait = 1, next - now
if wait <= longest then
  next = next + step
else
  -- One after the other, so that they do not all come back at once.
  promised = promised + step
  go, wait = 0, promised - now
end
redis.call('HSET', KEYS[1], 'next', string.format('%.0f', next), 'promised', string.format('%.0f', promised))
redis.call('PEXPIRE', KEYS[1], math.ceil((math.max(next, promised) - now) / 1000) + 60000)
return { go, math.ceil(wait) }
