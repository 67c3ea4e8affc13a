-- What writing an item takes of Redis: the commands, and nothing decided.
-- KEYS head, items, order, unread, live. ARGV now in ms, id, card.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'rev', 'seq', 'at', 'due')
redis.call('HGET', KEYS[2], ARGV[2])
local seq, rev = (head[3] or 0) + 1, (head[2] or 0) + 1
redis.call('TIME')
redis.call('HSET', KEYS[2], seq, ARGV[2], 'c' .. seq, ARGV[3], ARGV[2], seq)
redis.call('ZADD', KEYS[3], seq, seq)
redis.call('SADD', KEYS[4], seq)
local unread = redis.call('SCARD', KEYS[4])
redis.call('HSET', KEYS[1], 'rev', rev, 'unread', unread, 'seq', seq, 'at', ARGV[1])
redis.call('PUBLISH', KEYS[5], ARGV[3])
return { seq, rev, unread }
