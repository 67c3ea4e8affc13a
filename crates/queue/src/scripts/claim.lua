-- Claims a job before work on it begins.
--
-- A claim of which the holder died is simply taken again. Only who died while `sending` leaves it open whether the outside
-- effect happened: each such death is counted as a doubt and told.
-- KEYS record. ARGV holder, lease ms. Returns {'claimed', tries, doubts}, {'done', outcome}, {'held', until} or {'refused', why,
-- tries, doubts}.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local r = redis.call('HMGET', KEYS[1], 'state', 'holder', 'until', 'cancel', 'expires', 'outcome', 'tries', 'doubt')
if not r[1] then return { 'done', '' } end -- ended so long ago that the record has gone
if r[1] ~= 'queued' and r[1] ~= 'claimed' and r[1] ~= 'sending' then return { 'done', r[6] or '' } end
if r[1] ~= 'queued' and r[2] ~= ARGV[1] and tonumber(r[3]) > now then return { 'held', r[3] } end
local tries, doubt = tonumber(r[7] or 0), tonumber(r[8] or 0)
if r[1] == 'sending' then doubt = redis.call('HINCRBY', KEYS[1], 'doubt', 1)
elseif r[4] then return { 'refused', r[4], tries, doubt }
elseif r[5] and tonumber(r[5]) <= now then return { 'refused', 'expired', tries, doubt } end
redis.call('HSET', KEYS[1], 'state', 'claimed', 'holder', ARGV[1], 'until', string.format('%.0f', now + ARGV[2]))
return { 'claimed', tries, doubt }
