-- Lists the hot items beyond the newest ARGV[3], at most 500, oldest first.
-- Returns {seq, item, …} or 'cold'.
local beyond = redis.call('ZCARD', ORDER) - tonumber(ARGV[3])
if beyond <= 0 then return {} end
local seqs = redis.call('ZRANGE', ORDER, 0, math.min(beyond, 500) - 1)
local found, out = look(seqs), {}
for i, seq in ipairs(seqs) do out[2 * i - 1], out[2 * i] = seq, found[i] end
return out
