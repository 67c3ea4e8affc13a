-- Gives back entries that were fetched and not started: their leases end now, and they count as never delivered. They keep
-- their places in the stream; added anew they would stand behind a backlog.
-- KEYS stream, starts. ARGV group, consumer, idle ms to set, then per entry: id, deliveries. Returns the number given back.
local n = 0
for i = 4, #ARGV, 2 do
  if mine(ARGV[i], ARGV[i + 1]) then
    n = n + 1
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'IDLE', ARGV[3], 'RETRYCOUNT', ARGV[i + 1] - 1, 'JUSTID')
  end
end
return n
