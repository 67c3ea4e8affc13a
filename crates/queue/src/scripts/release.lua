-- Lets go of a claim, for a later attempt: nothing was sent. KEYS record. ARGV holder. Returns 1, or 0 if it is not ours.
local r = redis.call('HMGET', KEYS[1], 'state', 'holder')
if r[2] ~= ARGV[1] or (r[1] ~= 'claimed' and r[1] ~= 'sending') then return 0 end
redis.call('HSET', KEYS[1], 'state', 'queued', 'holder', '', 'until', 0)
return 1
