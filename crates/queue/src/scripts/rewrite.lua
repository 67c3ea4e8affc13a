-- Replaces what is kept with a job, if there still is a record. Returns 1, or 0 if there is none.
-- KEYS record. ARGV body.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'body', ARGV[1])
return 1
