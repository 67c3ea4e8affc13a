-- The head of every script that ends, renews or moves an entry: streams do not fence by themselves, so owner and delivery
-- count are compared first. KEYS[1] stream, ARGV[1] group, ARGV[2] consumer.
local function mine(id, deliveries)
  local p = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2])
  return p[1] and p[1][4] == tonumber(deliveries)
end
