-- Ends entries that are done.
-- KEYS stream, starts. ARGV group, consumer, then per entry: id, deliveries. Returns the ids that were not ours (any more).
local ok, refused = {}, {}
for i = 3, #ARGV, 2 do
  if mine(ARGV[i], ARGV[i + 1]) then
    ok[#ok + 1] = ARGV[i]
    if tonumber(ARGV[i + 1]) > 2 then redis.call('HDEL', KEYS[2], KEYS[1] .. ARGV[i]) end
  else refused[#refused + 1] = ARGV[i] end
end
if #ok > 0 then
  redis.call('XACK', KEYS[1], ARGV[1], unpack(ok))
  redis.call('XDEL', KEYS[1], unpack(ok))
end
return refused
