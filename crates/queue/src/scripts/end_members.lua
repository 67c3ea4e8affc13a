-- Notes how far bundles are, and ends those of which every job is over.
-- KEYS stream, starts, bundled, then per bundle: its record, and those of jobs that have one of their own and ended in a state.
-- ARGV group, consumer, lane (0..2), how long a bundle is kept that ended (ms), then per bundle: entry, deliveries, how many jobs it was
--   counted as, how far it is ("left marks states"), how many jobs with records of their own there are, and the state of each.
-- Returns the entries that are not ours (any more).
local under_way = { queued = true, claimed = true, sending = true }
local refused, i, k = {}, 5, 4
while i <= #ARGV do
  local entry, deliveries, jobs, ends, records = unpack(ARGV, i, i + 4)
  local bundle = KEYS[k]
  if mine(entry, deliveries) then
    for n = 1, records do
      local record = KEYS[k + n]
      if under_way[redis.call('HGET', record, 'state')] then
        redis.call('HSET', record, 'state', ARGV[i + 4 + n])
        redis.call('HDEL', record, 'holder', 'until')
      end
    end
    local left = tonumber(string.match(ends, '^%d+'))
    local before = tonumber(string.match(redis.call('HGET', bundle, 'ends') or jobs, '^%d+'))
    redis.call('HSET', bundle, 'ends', ends)
    if left == 0 then
      before = before - 1 -- the entry is counted by itself
      redis.call('HSET', bundle, 'state', 'ended')
      redis.call('PEXPIRE', bundle, ARGV[4])
      redis.call('HDEL', KEYS[2], KEYS[1] .. entry)
      redis.call('XACK', KEYS[1], ARGV[1], entry)
      redis.call('XDEL', KEYS[1], entry)
    end
    if jobs ~= '0' and before ~= left then redis.call('HINCRBY', KEYS[3], ARGV[3], left - before) end
  else
    refused[#refused + 1] = entry
  end
  i, k = i + 5 + records, k + 1 + records
end
return refused
