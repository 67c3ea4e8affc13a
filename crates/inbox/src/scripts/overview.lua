-- Tells how many items are unread, and of which revision this is true.
-- Returns {epoch, rev, unread, reader} or 'cold'.
return { EPOCH, REV, redis.call('SCARD', UNREAD), reader() }
