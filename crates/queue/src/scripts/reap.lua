-- Takes over entries whose lease ended.
--
-- After Redis stood still, idle times have run on and living owners look dead: that nobody reaped for a third of a lease
-- shows it, and then owners get half a lease to renew first. This also disarms a call that runs after its caller gave up.
-- XAUTOCLAIM looks at 10 x COUNT entries a call: without the cursor, long-running neighbours would hide what lies behind them.
-- KEYS stream, pulse. ARGV group, consumer, lease ms, cursor, count (0: only the sign of life). Returns {next cursor, {id, deliveries, fields}, …}.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local pulse = redis.call('HMGET', KEYS[2], 'last', 'wait')
redis.call('HSET', KEYS[2], 'last', string.format('%.0f', now))
local wait = tonumber(pulse[2]) or 0
if now - (tonumber(pulse[1]) or now) > ARGV[3] / 3 then
  wait = now + math.floor(ARGV[3] / 2)
  redis.call('HSET', KEYS[2], 'wait', string.format('%.0f', wait))
end
if ARGV[5] == '0' then return { ARGV[4], {} } end
if now < wait then return { '0-0', {} } end
local reply = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], 'COUNT', ARGV[5])
local out = {}
for i, entry in ipairs(reply[2]) do
  out[i] = { entry[1], redis.call('XPENDING', KEYS[1], ARGV[1], entry[1], entry[1], 1)[1][4], entry[2] }
end
return { reply[1], out }
