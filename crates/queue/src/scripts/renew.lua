-- Prolongs leases. JUSTID, or the delivery counter would rise.
-- KEYS stream, starts. ARGV group, consumer, then per entry: id, deliveries. Returns the ids that are lost.
local call, lost = { 'XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0 }, {}
for i = 3, #ARGV, 2 do
  if mine(ARGV[i], ARGV[i + 1]) then call[#call + 1] = ARGV[i] else lost[#lost + 1] = ARGV[i] end
end
if #call > 5 then
  call[#call + 1] = 'JUSTID'
  redis.call(unpack(call))
end
return lost
