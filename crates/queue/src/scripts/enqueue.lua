-- Adds jobs. One whose record exists is left alone.
-- KEYS due, high, normal, bulk, then a record per job. ARGV per job: job, how, body (see _add.lua). Returns the number of new ones.
local n = 0
for i = 1, #ARGV, 3 do n = n + add(false, KEYS[5 + (i - 1) / 3], unpack(ARGV, i, i + 2)) end
return n
