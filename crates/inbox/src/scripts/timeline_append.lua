-- Writes one entry and publishes it, unless the timeline has the notification already.
--
-- ARGV[4] notification id, [5] expiry in ms or 0, [6] body
-- Returns {1 if new, epoch, the entry} or 'cold'.
local known = redis.call('HGET', IDS, ARGV[4])
if known then return { 0, EPOCH, redis.call('HGET', ENTRIES, known) } end
local time = redis.call('TIME')
local at = int(math.max(tonumber(AT or '0'), tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)))
local rev = next_rev()
redis.call('HSET', META, 'at', at)
redis.call('HSET', IDS, ARGV[4], rev)
redis.call('ZADD', TIMES, at, rev)
if ARGV[5] ~= '0' then redis.call('ZADD', EXPIRES, ARGV[5], rev) end
return { 1, EPOCH, put(rev, rev, at, '-', ARGV[6]) }
