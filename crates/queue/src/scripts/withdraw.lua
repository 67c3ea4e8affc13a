-- Withdraws a job: who claims it, or is about to begin sending, is refused with the reason. What ended, or is sending, may win.
--
-- KEYS[1] hash of the job's record
-- KEYS[2] hash of the record of the bundle that it may be in
-- ARGV[1] reason
-- ARGV[2] what tells the job from others of its bundle
-- Returns the state that the job was in, '*' if it is in the bundle, or '' if there is no record of it
local state = redis.call('HGET', KEYS[1], 'state')
if state then
  redis.call('HSETNX', KEYS[1], 'cancel', ARGV[1])
  return state
end
if redis.call('HEXISTS', KEYS[2], 'body') == 0 then return '' end
redis.call('HSETNX', KEYS[2], 'cancel:' .. ARGV[2], ARGV[1])
return '*'
