-- Finds one hot item.
-- ARGV[3] notification id
-- Returns {seq, state, card}, {} if it is not hot, or 'cold'.
local known = redis.call('HGET', IDS, ARGV[3])
local seq = known and string.match(known, '^%d+')
local state = seq and redis.call('HGET', STATE, seq)
if not state then return {} end
return { seq, state, redis.call('HGET', CARDS, seq) }
