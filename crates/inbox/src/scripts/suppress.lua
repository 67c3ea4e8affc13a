-- Copies what the record has of addresses, each only if what is held is not newer.
--
-- Whoever lifts a suppression leaves its time behind, so that who copies the record meanwhile does not bring it back.
-- KEYS[1] hash of the app: "<channel> <address> <category>" -> "<at> <reason>", the reason `-` where it was lifted.
-- ARGV    name, at (ms), reason; and so on. Returns for each 1 if it is what is held now.
local out = {}
for i = 1, #ARGV, 3 do
  local held = redis.call('HGET', KEYS[1], ARGV[i])
  local held_at = held and tonumber(string.match(held, '^%d+'))
  local newer = not held_at or held_at <= tonumber(ARGV[i + 1])
  if newer then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1] .. ' ' .. ARGV[i + 2]) end
  out[#out + 1] = newer and 1 or 0
end
return out
