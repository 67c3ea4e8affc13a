-- Tells how many items are unread, and of which revision this is true.
-- Returns {epoch, rev, unread, reader} or 'cold'.
local meta = redis.call('HMGET', META, 'epoch', 'rev')
return { meta[1], meta[2], redis.call('SCARD', UNREAD), reader() }
