-- Adds bundles of jobs, each job under an idempotency key if it has one: the first wins, a repeat gets its id, and its job is over before
-- it began. Then reads as many entries as it added for a worker that has places for them.
-- KEYS due, high, normal, bulk, bundled, then per bundle: its record, and what remembers the keys of its jobs that have one.
-- ARGV group, consumer, its places for high, normal, bulk, then per bundle: "id *jobs", lane (0..2), body, how long keys are known (ms),
--   '1' for each job with a key and '0' for each without; and per job with a key: "id fingerprint".
-- Returns {answers, entries, refused}. Of jobs that were not added: {bundle from 0, place from 0, '1 id' repeated or '2 id' the key was
--   used with another fingerprint}. Per entry: {lane, id, fields}. The bundles of which nothing was done, since another has this name.
local answers, refused = {}, {}
local i, k, n = 6, 6, 0
while i <= #ARGV do
  local job, lane, body, ttl, keyed = unpack(ARGV, i, i + 4)
  local record = KEYS[k]
  i, k, n = i + 5, k + 1, n + 1
  local other = redis.call('HGET', record, 'body')
  other = other and other ~= body
  if other then refused[#refused + 1] = n - 1 end
  local over = {}
  for place = 1, #keyed do
    if string.byte(keyed, place) == 49 then
      if not other then
        local words = ARGV[i]
        local held = redis.call('SET', KEYS[k], words, 'NX', 'GET', 'PX', ttl)
        if held and held ~= words then
          local first, with = string.match(held, '^(%S+) (.*)$')
          answers[#answers + 1] = { n - 1, place - 1, (with == string.match(words, '^%S+ (.*)$') and '1 ' or '2 ') .. first }
          over[#over + 1] = place
        end
      end
      i, k = i + 1, k + 1
    end
  end
  if not other and #over < #keyed and add(false, record, job, lane, body) == 1 then
    redis.call('HINCRBY', KEYS[5], lane, #keyed - #over - 1)
    if #over > 0 then
      local marks = {}
      for place = 1, #keyed do marks[place] = '0' end
      for _, place in ipairs(over) do marks[place] = '1' end
      redis.call('HSET', record, 'ends', string.format('%d ', #keyed - #over) .. table.concat(marks))
    end
  end
end
return { answers, read(1), refused }
