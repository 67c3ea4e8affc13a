-- Withdraws a job: who claims it, or is about to begin sending, is refused with the reason. What ended, or is sending, may win.
--
-- KEYS[1] hash of the job's record
-- KEYS[2] hash of the record of the bundle that it may be in
-- ARGV[1] reason
-- ARGV[2] what tells the job from others of its bundle
-- Returns "state tries doubts" as it was, '*' if it is in the bundle, or '' if there is no record of it
local r = redis.call('HMGET', KEYS[1], 'state', 'tries', 'doubt')
if r[1] then
  redis.call('HSETNX', KEYS[1], 'cancel', ARGV[1])
  return r[1] .. ' ' .. (r[2] or 0) .. ' ' .. (r[3] or 0)
end
if redis.call('HEXISTS', KEYS[2], 'body') == 0 then return '' end
redis.call('HSETNX', KEYS[2], 'cancel:' .. ARGV[2], ARGV[1])
return '*'
