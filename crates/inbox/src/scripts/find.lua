-- Finds one hot item.
-- ARGV[3] notification id
-- Returns {seq, item}, {} if it is not hot, or 'cold'.
local known = redis.call('HGET', ITEMS, 'i' .. ARGV[3])
if not known then return {} end
local seq = string.match(known, '^%d+')
local found = look({ seq })
if not found[1] then return {} end
return { seq, found[1] }
