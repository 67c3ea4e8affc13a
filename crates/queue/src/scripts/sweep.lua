-- Removes consumers that hold nothing and are long silent, and the one that is named. In one step with the check: XGROUP
-- DELCONSUMER forgets what is pending. KEYS stream. ARGV group, idle ms, name or ''. Returns the number removed.
local n = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local f = {}
  for i = 1, #consumer, 2 do f[consumer[i]] = consumer[i + 1] end
  if f.pending == 0 and (f.name == ARGV[3] or f.idle > tonumber(ARGV[2])) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], f.name)
    n = n + 1
  end
end
return n
