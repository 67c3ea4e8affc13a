-- Lists hot items, newest first, archived ones among them: to look into each here would cost more than to send it.
--
-- ARGV[3] seq below which to list, or '' for the newest, ARGV[4] the most to give, ARGV[5] the lowest seq, or '' for the floor
-- Returns {floor, {seq, …}, {state, …}, {card, …}, reader} or 'cold'. Items below the floor are the record's to list.
local floor = redis.call('HGET', META, 'floor')
local max = ARGV[3] == '' and '+inf' or '(' .. ARGV[3]
local seqs = redis.call('ZREVRANGEBYSCORE', ORDER, max, ARGV[5] == '' and floor or ARGV[5], 'LIMIT', 0, ARGV[4])
if #seqs == 0 then return { floor, {}, {}, {}, reader() } end
return { floor, seqs, redis.call('HMGET', STATE, unpack(seqs)), redis.call('HMGET', CARDS, unpack(seqs)), reader() }
