-- Adds jobs. One whose record exists is left alone.
-- KEYS due, high, normal, bulk, then a record per job. ARGV per job: id, how (see _add.lua), payload, body. Returns the number of new
-- ones.
local n = 0
for i = 1, #ARGV, 4 do n = n + add(false, KEYS[5 + (i - 1) / 4], unpack(ARGV, i, i + 3)) end
return n
