-- Keeps what is connected to one gateway; nothing is kept of one to which nobody is.
-- KEYS hash: gateway -> "connections people at". ARGV gateway, connections, people.
local t = redis.call('TIME')
if ARGV[2] == '0' then redis.call('HDEL', KEYS[1], ARGV[1])
else redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. string.format('%.0f', t[1] * 1000 + t[2] / 1000)) end
redis.call('PEXPIRE', KEYS[1], 60000)
