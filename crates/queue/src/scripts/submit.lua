-- Adds jobs, each under an idempotency key if it has one: the first wins, a repeat gets its id. Without a key, one that has a record
-- is left alone: it is a repeat of the very same call. Then reads as many entries as it added for a worker that has places for them.
-- KEYS due, high, normal, bulk, then per job: record, and what remembers its idempotency key, if it has one.
-- ARGV group, consumer, its places for high, normal, bulk, then per job: job, how, body (see _add.lua); `how` of a job with a key
--   is "lane due expires ttl fingerprint": how long the key is known, in ms, and what a repeat must equal.
-- Returns {answers, entries}. Of jobs that were not added: {place from 0, '1 id' repeated or '2 id' the key was used with another
--   fingerprint}. Per entry: {lane, id, fields}.
local answers = {}
local k = 5
for i = 6, #ARGV, 3 do
  local record, job, how, body = KEYS[k], unpack(ARGV, i, i + 2)
  local ttl, fingerprint
  if #how > 1 then ttl, fingerprint = string.match(how, '^%d %-?%d+ %-?%d+ (%d+) (.*)$') end
  if ttl then
    k = k + 1
    local held = redis.call('SET', KEYS[k], string.match(job, '^%S+') .. ' ' .. fingerprint, 'NX', 'GET', 'PX', ttl)
    if held then
      local first, with = string.match(held, '^(%S+) (.*)$')
      answers[#answers + 1] = { (i - 6) / 3, (with == fingerprint and '1 ' or '2 ') .. first }
    else add(true, record, job, how, body) end
  else add(false, record, job, how, body) end
  k = k + 1
end
return { answers, read(1) }
