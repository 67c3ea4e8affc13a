-- Lists the hot items beyond the newest ARGV[3], at most 500, oldest first.
-- Returns {seq, state, card, …} or 'cold'.
local beyond = redis.call('ZCARD', ORDER) - tonumber(ARGV[3])
if beyond <= 0 then return {} end
local seqs = redis.call('ZRANGE', ORDER, 0, math.min(beyond, 500) - 1)
local found, out = look(seqs), {}
for i, seq in ipairs(seqs) do out[3 * i - 2], out[3 * i - 1], out[3 * i] = seq, found[2 * i - 1], found[2 * i] end
return out
