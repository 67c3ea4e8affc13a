-- Gives a job of a bundle a record of its own, with what was said of it since it was added, unless it has one.
-- KEYS record, bundle. ARGV what tells the job from others of its bundle, when it expires (ms, 0: never), body.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local said = redis.call('HMGET', KEYS[2], 'body:' .. ARGV[1], 'cancel:' .. ARGV[1])
redis.call('HSET', KEYS[1], 'state', 'queued')
if ARGV[2] ~= '0' then redis.call('HSET', KEYS[1], 'expires', ARGV[2]) end
local body = said[1] or ARGV[3]
if body ~= '' then redis.call('HSET', KEYS[1], 'body', body) end
if said[2] then redis.call('HSET', KEYS[1], 'cancel', said[2]) end
return 1
