-- Appends events. KEYS log. ARGV events. Returns their places.
local places = {}
for i, event in ipairs(ARGV) do places[i] = redis.call('XADD', KEYS[1], '*', 'd', event) end
return places
