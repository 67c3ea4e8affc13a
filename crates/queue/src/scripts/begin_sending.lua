-- Says that the outside effect begins now; checks withdrawal, expiry and holder once more.
-- KEYS record. ARGV holder, lease ms. Returns {'go', tries}, {'refused', why} or {'lost'}.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local r = redis.call('HMGET', KEYS[1], 'state', 'holder', 'until', 'cancel', 'expires')
if r[1] ~= 'claimed' or r[2] ~= ARGV[1] or tonumber(r[3]) <= now then return { 'lost' } end
if r[4] then return { 'refused', r[4] } end
if r[5] and tonumber(r[5]) <= now then return { 'refused', 'expired' } end
redis.call('HSET', KEYS[1], 'state', 'sending', 'until', string.format('%.0f', now + 2 * ARGV[2]))
return { 'go', redis.call('HINCRBY', KEYS[1], 'tries', 1) }
