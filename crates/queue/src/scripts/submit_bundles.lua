-- Adds bundles of jobs, each job under an idempotency key if it has one: the first wins, a repeat gets its id, and its job is over before
-- it began. Then reads as many entries as it added for a worker that has places for them.
--
-- The keys of a bundle are set in one command, which costs half of what SET costs for each, and have no end of their own: a list for
-- each minute in which keys end, an element for each bundle, tells forget.lua which are to go. Repeats are rare: only where there is
-- one, keys are looked at one by one.
-- KEYS due, high, normal, bulk, bundled, the index of what is remembered, then per bundle: its record, and what remembers the keys of
--   its jobs that have one.
-- ARGV group, consumer, its places for high, normal, bulk, then per bundle: "id *jobs", lane (0..2), body, how long keys are known (ms),
--   '1' for each job with a key and '0' for each without; and per job with a key: "id fingerprint".
-- Returns {answers, entries, refused}. Of jobs that were not added: {bundle from 0, place from 0, '1 id' repeated or '2 id' the key was
--   used with another fingerprint}. Per entry: {lane, id, fields}. The bundles of which nothing was done, since another has this name.
local MINUTE = 60 * 1000
-- Has forget.lua forget `keys`, a line each, once `ttl` ms are over and the minute in which they are.
local function remember(keys, ttl)
  local t = redis.call('TIME')
  local ends = math.ceil((t[1] * 1000 + t[2] / 1000 + ttl) / MINUTE)
  local minute = string.format('%s:%d', KEYS[6], ends)
  if redis.call('RPUSH', minute, keys) == 1 then redis.call('ZADD', KEYS[6], ends * MINUTE, minute) end
end
local answers, refused = {}, {}
local i, k, n = 6, 7, 0
while i <= #ARGV do
  local job, lane, body, ttl, keyed = unpack(ARGV, i, i + 4)
  local record = KEYS[k]
  i, k, n = i + 5, k + 1, n + 1
  local places, all = {}, {}
  for place = 1, #keyed do
    if string.byte(keyed, place) == 49 then
      local j = #places
      places[j + 1] = place
      all[2 * j + 1], all[2 * j + 2] = KEYS[k + j], ARGV[i + j]
    end
  end
  local other = redis.call('HGET', record, 'body')
  other = other and other ~= body
  if other then refused[#refused + 1] = n - 1 end
  local over = {}
  if not other and #places > 0 then
    if redis.call('MSETNX', unpack(all)) == 1 then remember(table.concat(KEYS, '\n', k, k + #places - 1), ttl)
    else
      local new = {}
      for j, place in ipairs(places) do
        local key, words = all[2 * j - 1], all[2 * j]
        local held = redis.call('GET', key)
        if not held then
          redis.call('SET', key, words)
          new[#new + 1] = key
        elseif held ~= words then
          local first, with = string.match(held, '^(%S+) (.*)$')
          answers[#answers + 1] = { n - 1, place - 1, (with == string.match(words, '^%S+ (.*)$') and '1 ' or '2 ') .. first }
          over[#over + 1] = place
        end
      end
      if #new > 0 then remember(table.concat(new, '\n'), ttl) end
    end
  end
  i, k = i + #places, k + #places
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
