-- Moves what is due to its lane. KEYS due, high, normal, bulk. ARGV the most to move.
-- Returns {moved, ms until the next is due or -1}.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, member in ipairs(due) do
  local lane, tries, job = string.match(member, '^(%d) (%d+) (.*)$')
  if tries == '0' then redis.call('XADD', KEYS[lane + 2], '*', 'j', job)
  else redis.call('XADD', KEYS[lane + 2], '*', 'j', job, 'a', tries) end
  redis.call('ZREM', KEYS[1], member)
end
local next = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return { #due, next[2] and math.max(0, math.ceil(next[2] - now)) or -1 }
