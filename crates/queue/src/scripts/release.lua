-- Lets go of a claim, for a later attempt. KEYS record. ARGV holder, 1 if something may have been sent.
-- Returns 1, or 0 if it is not ours.
local r = redis.call('HMGET', KEYS[1], 'state', 'holder')
if r[2] ~= ARGV[1] or (r[1] ~= 'claimed' and r[1] ~= 'sending') then return 0 end
redis.call('HSET', KEYS[1], 'state', 'queued', 'holder', '', 'until', 0)
if ARGV[2] == '1' then redis.call('HINCRBY', KEYS[1], 'doubt', 1) end
return 1
