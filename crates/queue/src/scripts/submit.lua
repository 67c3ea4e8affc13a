-- Adds one job under an idempotency key: the first wins, a repeat gets its id.
-- KEYS due, high, normal, bulk, record, idempotency record. ARGV id, lane, due, expires, payload, body, fingerprint, ttl ms.
-- Returns {0} added, {1, id} repeated, {2, id} the key was used with another fingerprint.
local held = redis.call('HMGET', KEYS[6], 'id', 'fingerprint')
if held[1] then return { held[2] == ARGV[7] and 1 or 2, held[1] } end
add(0, KEYS[5], unpack(ARGV, 1, 6))
redis.call('HSET', KEYS[6], 'id', ARGV[1], 'fingerprint', ARGV[7])
redis.call('PEXPIRE', KEYS[6], ARGV[8])
return { 0 }
