-- What writing an item takes of Redis: the commands, and nothing decided.
-- KEYS head, items, live. ARGV now in ms, id, card.
local seq, rev, unread = string.match(redis.call('HGET', KEYS[1], 'whole') or '0 0 0', '(%d+) (%d+) (%d+)')
redis.call('HGET', KEYS[2], ARGV[2])
seq, rev, unread = seq + 1, rev + 1, unread + 1
redis.call('TIME')
redis.call('HSET', KEYS[2], seq, ARGV[3], ARGV[2], seq)
redis.call('HSET', KEYS[1], 'whole', seq .. ' ' .. rev .. ' ' .. unread .. ' ' .. ARGV[1])
redis.call('PUBLISH', KEYS[3], ARGV[3])
return { seq, rev, unread }
