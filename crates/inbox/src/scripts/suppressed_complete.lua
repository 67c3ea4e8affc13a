-- Says that all of the record is copied, if the hash was not lost meanwhile.
-- KEYS[1] hash of the app, as in suppress.lua. ARGV what `copying` held when the copy began. Returns 1 if all is there.
if redis.call('HGET', KEYS[1], 'copying') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'complete', 1)
  redis.call('HDEL', KEYS[1], 'copying')
end
return redis.call('HEXISTS', KEYS[1], 'complete')
