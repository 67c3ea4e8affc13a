-- Changes the outcome of a job that has ended, if it is still what the caller has seen.
-- KEYS record. ARGV state seen, new state, new outcome. Returns 1, or 0 if it is another by now.
if redis.call('HGET', KEYS[1], 'state') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'outcome', ARGV[3])
return 1
