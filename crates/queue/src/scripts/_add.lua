-- The head of the scripts that add jobs: a record, and an entry on its lane or in the due set.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
-- KEYS[base + 1] due, then high, normal, bulk. lane 0..2; due, expires in ms or '0'. False if the job has a record.
local function add(base, record, id, lane, due, expires, payload, body)
  if redis.call('EXISTS', record) == 1 then return false end
  redis.call('HSET', record, 'state', 'queued', 'lane', lane, 'tries', 0, 'holder', '', 'until', 0, 'doubt', 0)
  if expires ~= '0' then redis.call('HSET', record, 'expires', expires) end
  if body ~= '' then redis.call('HSET', record, 'body', body) end
  if tonumber(due) > now then redis.call('ZADD', KEYS[base + 1], due, lane .. ' 0 ' .. id .. ' ' .. payload)
  else redis.call('XADD', KEYS[base + 2 + lane], '*', 'i', id, 'a', 0, 'd', payload) end
  return true
end
