-- Replaces what is kept with a job, if there still is a record of it, or of the bundle that it may be in.
-- KEYS record, bundle. ARGV body, what tells the job from others of its bundle. `rewritten` is for those who do not read the body.
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'body', ARGV[1], 'rewritten', '1')
elseif redis.call('HEXISTS', KEYS[2], 'body') == 1 then redis.call('HSET', KEYS[2], 'body:' .. ARGV[2], ARGV[1]) end
