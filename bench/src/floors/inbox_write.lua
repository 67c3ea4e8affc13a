-- What writing an item takes of Redis: the commands, and nothing decided.
-- KEYS head, items, order, unread, live. ARGV now in ms, id, card.
local seq, rev = string.match(redis.call('HGET', KEYS[1], 'whole') or '0 0', '(%d+) (%d+)')
redis.call('HGET', KEYS[2], ARGV[2])
seq, rev = seq + 1, rev + 1
redis.call('TIME')
redis.call('HSET', KEYS[2], seq, ARGV[3], ARGV[2], seq)
redis.call('ZADD', KEYS[3], seq, seq)
redis.call('SADD', KEYS[4], seq)
local unread = redis.call('SCARD', KEYS[4])
redis.call('HSET', KEYS[1], 'whole', seq .. ' ' .. rev .. ' ' .. unread .. ' ' .. ARGV[1])
redis.call('PUBLISH', KEYS[5], ARGV[3])
return { seq, rev, unread }
