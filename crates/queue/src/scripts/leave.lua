-- Lets jobs leave a bundle: each gets a record of its own, unless it has one, and stands on its lane, in the due set or among the dead
-- letters. One that has left before is passed over: this may be a repeat.
-- KEYS stream, starts, due, dead, high, normal, bulk, bundled, bundle, then a record per job. ARGV group, consumer, entry, deliveries,
--   lane of the bundle (0..2), how many jobs it was counted as, how far it is unless its record says so, how long dead letters are kept
--   (ms), then per job: its place from 1, what tells it from the others, id, payload, lane, tries to note, due: '+ms' from now, ms, or
--   '-' for dead, when it expires (ms, 0: never), reason, body.
-- Returns 1, or 0 if the bundle is not ours (any more).
if not mine(ARGV[3], ARGV[4]) then return 0 end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local left, marks, states = string.match(redis.call('HGET', KEYS[9], 'ends') or ARGV[7], '^(%d+) (%S+)(.*)$')
local gone = 0
for i = 9, #ARGV, 10 do
  local place, own, id, payload, lane, tries, due, expires, reason, body = unpack(ARGV, i, i + 9)
  local record = KEYS[10 + (i - 9) / 10]
  place = tonumber(place)
  if string.sub(marks, place, place) == '0' then
    marks = string.sub(marks, 1, place - 1) .. 'L' .. string.sub(marks, place + 1)
    gone = gone + 1
    adopt(record, KEYS[9], own, expires, body)
    local at = string.sub(due, 1, 1) == '+' and now + tonumber(due) or tonumber(due)
    local job = id .. ' ' .. payload
    if due == '-' then
      redis.call('XADD', KEYS[4], 'MINID', string.format('%.0f', now - ARGV[8]), '*',
        'i', id, 'l', lane, 'a', tries, 'r', reason, 't', string.format('%.0f', now), 'd', payload)
    elseif at > now or tries ~= '0' then redis.call('ZADD', KEYS[3], at, lane .. ' ' .. tries .. ' ' .. job)
    else redis.call('XADD', KEYS[5 + lane], '*', 'j', job)
    end
  end
end
if gone > 0 then
  redis.call('HSET', KEYS[9], 'ends', string.format('%d ', left - gone) .. marks .. states)
  if ARGV[6] ~= '0' then redis.call('HINCRBY', KEYS[8], ARGV[5], -gone) end
end
return 1
