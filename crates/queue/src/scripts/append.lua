-- Appends events. KEYS log. ARGV how many may stand in one entry, then the events.
local together = tonumber(ARGV[1])
for first = 2, #ARGV, together do
  local fields = {}
  for i = first, math.min(first + together - 1, #ARGV) do
    fields[#fields + 1] = 'd'
    fields[#fields + 1] = ARGV[i]
  end
  redis.call('XADD', KEYS[1], '*', unpack(fields))
end
