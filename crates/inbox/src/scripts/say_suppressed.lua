-- Says now of an address whether it is written to: as of now, or of a moment after what was said before. The clocks of two
-- processes differ, and who speaks last is heard.
--
-- KEYS[1] hash of the app, as in suppress.lua. ARGV name, now (ms), reason. Returns the time as of which it holds.
local held = redis.call('HGET', KEYS[1], ARGV[1])
local held_at = held and tonumber(string.match(held, '^%d+')) or 0
local at = string.format('%.0f', math.max(tonumber(ARGV[2]), held_at + 1))
redis.call('HSET', KEYS[1], ARGV[1], at .. ' ' .. ARGV[3])
return at
