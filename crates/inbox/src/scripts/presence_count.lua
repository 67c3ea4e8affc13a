-- Adds up what the gateways said lately.
-- KEYS hash: gateway -> "connections people at". ARGV how long a report counts in ms. Returns {connections, people}.
local t = redis.call('TIME')
local since = t[1] * 1000 + t[2] / 1000 - ARGV[1]
local connections, people = 0, 0
for _, report in ipairs(redis.call('HVALS', KEYS[1])) do
  local c, p, at = string.match(report, '^(%d+) (%d+) (%d+)$')
  if tonumber(at) >= since then connections = connections + c people = people + p end
end
return { connections, people }
