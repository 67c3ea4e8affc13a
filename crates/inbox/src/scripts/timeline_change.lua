-- Withdraws a live entry, or says it otherwise. What is gone already stays as it is.
--
-- ARGV[4] notification id, [5] '-' or 'recalled', [6] the new body or '' to keep it, [7] expiry in ms or 0 (with a new body)
-- Returns {1 if it changed, the entry}, {} if it is not in the timeline, or 'cold'.
local seq = redis.call('HGET', IDS, ARGV[4])
local e = seq and read(seq)
if not e then return {} end
local body = ARGV[6] == '' and e.body or ARGV[6]
if e.gone ~= '-' or (ARGV[5] == '-' and body == e.body) then return { 0, e.value } end
if ARGV[5] ~= '-' then redis.call('ZREM', EXPIRES, seq)
elseif ARGV[7] == '0' then redis.call('ZREM', EXPIRES, seq)
else redis.call('ZADD', EXPIRES, ARGV[7], seq) end
return { 1, put(seq, next_rev(), e.at, ARGV[5], body) }
