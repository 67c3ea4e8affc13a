-- Keeps how far a job has come in its record, if there still is one.
--
-- KEYS[1] hash of the job's record
-- ARGV[1] what to keep
-- Returns 1, or 0 if the record is gone
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'progress', ARGV[1])
return 1
