-- Lists the hot items beyond the newest ARGV[3], at most 500, oldest first.
-- Returns {seq, state, card, …} or 'cold'.
local beyond = redis.call('ZCARD', ORDER) - tonumber(ARGV[3])
if beyond <= 0 then return {} end
local seqs = redis.call('ZRANGE', ORDER, 0, math.min(beyond, 500) - 1)
local states, cards, out = redis.call('HMGET', STATE, unpack(seqs)), redis.call('HMGET', CARDS, unpack(seqs)), {}
for i, seq in ipairs(seqs) do out[#out + 1] = seq out[#out + 1] = states[i] out[#out + 1] = cards[i] end
return out
