-- Moves an entry to the due set or to the dead letters.
-- KEYS stream, starts, due, dead, bundled, record. ARGV group, consumer, id, deliveries, lane, tries to note, due: '+ms' from now, ms, or '-' for
--   dead, reason, MINID of dead letters to keep. Returns 1, or 0 if the entry is not ours (any more).
if not mine(ARGV[3], ARGV[4]) then return 0 end
local entry = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])[1]
if entry then
  local f = {}
  for i = 1, #entry[2], 2 do f[entry[2][i]] = entry[2][i + 1] end
  local job = f.j or (f.i or '') .. ' ' .. (f.d or '') -- until November 2026 a field each
  local t = redis.call('TIME')
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  if ARGV[7] == '-' then
    local id, payload = string.match(job, '^(%S*) (.*)$')
    redis.call('XADD', KEYS[4], 'MINID', string.format('%.0f', now - ARGV[9]), '*',
      'i', id, 'l', ARGV[5], 'a', ARGV[6], 'n', redis.call('HGET', KEYS[6], 'tries') or ARGV[6], 'r', ARGV[8],
      't', string.format('%.0f', now), 'd', payload)
    local jobs = string.match(payload, '^%*(%d+)$') -- of a bundle
    if jobs then redis.call('HINCRBY', KEYS[5], ARGV[5], 1 - jobs) end
  else
    local due = string.sub(ARGV[7], 1, 1) == '+' and now + tonumber(ARGV[7]) or tonumber(ARGV[7])
    redis.call('ZADD', KEYS[3], due, ARGV[5] .. ' ' .. ARGV[6] .. ' ' .. job)
  end
end
redis.call('HDEL', KEYS[2], KEYS[1] .. ARGV[3])
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[3])
return 1
