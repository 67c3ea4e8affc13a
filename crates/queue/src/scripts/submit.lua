-- Adds jobs, each under an idempotency key if it has one: the first wins, a repeat gets its id. Without a key, one that has a record
-- is left alone: it is a repeat of the very same call.
-- KEYS due, high, normal, bulk, then per job: record, what remembers its idempotency key (the record again, without).
-- ARGV per job: id, lane, due, expires, payload, body, fingerprint ('' without a key), how long the key is known in ms.
-- Returns per job: '' added, '1 id' repeated, '2 id' the key was used with another fingerprint.
local answers = {}
for i = 1, #ARGV, 8 do
  local n = (i - 1) / 4
  local record, key = KEYS[5 + n], KEYS[6 + n]
  local id, lane, due, expires, payload, body, fingerprint, ttl = unpack(ARGV, i, i + 7)
  local answer = ''
  if fingerprint == '' then
    add(false, record, id, lane, due, expires, payload, body)
  else
    local held = redis.call('SET', key, id .. ' ' .. fingerprint, 'NX', 'GET', 'PX', ttl)
    if held then
      local first, with = string.match(held, '^(%S+) (.*)$')
      answer = (with == fingerprint and '1 ' or '2 ') .. first
    else add(true, record, id, lane, due, expires, payload, body) end
  end
  answers[#answers + 1] = answer
end
return answers
