-- Lists hot items, newest first, archived ones among them: to look into each here would cost more than to send it.
--
-- ARGV[3] seq below which to list, or '' for the newest, ARGV[4] the most to give, ARGV[5] the lowest seq, or '' for the floor
-- Returns {head, {seq, …}, {item, …}} or 'cold'. Items below the floor are the record's to list.
local max = ARGV[3] == '' and '+inf' or '(' .. ARGV[3]
local min = ARGV[5] == '' and FLOOR or ARGV[5]
local seqs = redis.call('ZREVRANGEBYSCORE', ORDER, max, min, 'LIMIT', 0, ARGV[4])
return { redis.call('HGETALL', HEAD), seqs, look(seqs) }
