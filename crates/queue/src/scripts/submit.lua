-- Adds jobs, each under an idempotency key if it has one: the first wins, a repeat gets its id. Without a key, one that has a record
-- is left alone: it is a repeat of the very same call. Then reads as many entries as it added for a worker that has places for them.
-- KEYS due, high, normal, bulk, then per job: record, what remembers its idempotency key (the record again, without).
-- ARGV group, consumer, its places for high, normal, bulk, then per job:
--   id, lane, due, expires, payload, body, fingerprint ('' without a key), how long the key is known in ms.
-- Returns {answers, entries}. Per job: '' added, '1 id' repeated, '2 id' the key was used with another fingerprint.
--   Per entry: {lane, id, fields}.
local answers, entries = {}, {}
for i = 6, #ARGV, 8 do
  local n = (i - 6) / 4
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
for lane = 1, 3 do
  local count = math.min(entered[lane], tonumber(ARGV[2 + lane]))
  if count > 0 then
    -- Without a group (its worker makes it anew) what was added waits as it always does.
    local reply = redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', count, 'STREAMS', KEYS[1 + lane], '>')
    for _, entry in ipairs(reply and not reply.err and reply[1][2] or {}) do
      entries[#entries + 1] = { lane - 1, entry[1], entry[2] }
    end
  end
end
return { answers, entries }
