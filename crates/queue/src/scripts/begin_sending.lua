-- Says that the outside effect begins now; checks withdrawal, expiry and holder once more. A claim that ran out is good as long
-- as nobody else has taken it. Safe to repeat by the holder. KEYS record. ARGV holder, ms that the effect may take.
-- Returns {'go', tries}, {'refused', why} or {'lost'}.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local r = redis.call('HMGET', KEYS[1], 'state', 'holder', 'cancel', 'expires', 'tries')
if r[2] ~= ARGV[1] then return { 'lost' } end
if r[1] == 'sending' then -- said before, and the answer was lost: it begins only now
  redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + ARGV[2]))
  return { 'go', tonumber(r[5]) }
end
if r[1] ~= 'claimed' then return { 'lost' } end
if r[3] then return { 'refused', r[3] } end
if r[4] and tonumber(r[4]) <= now then return { 'refused', 'expired' } end
redis.call('HSET', KEYS[1], 'state', 'sending', 'until', string.format('%.0f', now + ARGV[2]))
return { 'go', redis.call('HINCRBY', KEYS[1], 'tries', 1) }
