-- The head of the scripts that give a job of a bundle a record of its own, with what was said of it since it was added, unless it has
-- one. `own` tells the job from others of its bundle, `expires` is in ms (0: never). Returns 1 if it had none.
local function adopt(record, bundle, own, expires, body)
  if redis.call('EXISTS', record) == 1 then return 0 end
  local said = redis.call('HMGET', bundle, 'body:' .. own, 'cancel:' .. own)
  redis.call('HSET', record, 'state', 'queued')
  if expires ~= '0' then redis.call('HSET', record, 'expires', expires) end
  body = said[1] or body
  if body ~= '' then redis.call('HSET', record, 'body', body) end
  if said[2] then redis.call('HSET', record, 'cancel', said[2]) end
  return 1
end
