-- Withdraws a job: who claims it, or is about to begin sending, is refused with the reason. What ended, or is sending, may win.
--
-- KEYS[1] hash of the job's record
-- ARGV[1] reason
-- Returns the state that the job was in, or '' if there is no record
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return '' end
if redis.call('HEXISTS', KEYS[1], 'cancel') == 0 then redis.call('HSET', KEYS[1], 'cancel', ARGV[1]) end
return state
