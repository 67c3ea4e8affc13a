-- Adds bundles. One whose record exists is left alone: it is a repeat of the very same call. Then reads as many entries as it added for
-- a worker that has places for them.
-- KEYS due, high, normal, bulk, then per bundle: its record; then how many jobs are in bundles beyond their entries, by lane.
-- ARGV group, consumer, its places for high, normal, bulk, then per bundle: "id *jobs", lane (0..2), body. Returns {{}, entries}, as
--   submit.lua does.
for i = 6, #ARGV, 3 do
  local job, lane, body = unpack(ARGV, i, i + 2)
  if add(false, KEYS[5 + (i - 6) / 3], job, lane, body) == 1 then
    redis.call('HINCRBY', KEYS[#KEYS], lane, string.match(job, '%d+$') - 1)
  end
end
return { {}, read(1) }
