-- Ends entries that are done.
-- KEYS stream, starts, then the records of those that end with a state. ARGV group, consumer, the first and last id between which
-- to look all pending entries of the consumer up at once ('' to look each up by itself), then per entry: id, deliveries, the state
-- in which its record ends ('' to leave it). Returns the ids that were not ours (any more).
local pending
if ARGV[3] ~= '' then
  pending = {}
  for _, p in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[4], 100000, ARGV[2])) do pending[p[1]] = p[4] end
end
local under_way = { queued = true, claimed = true, sending = true }
local ok, refused, record = {}, {}, 2
for i = 5, #ARGV, 3 do
  local id, deliveries, state = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  if state ~= '' then record = record + 1 end
  local ours
  if pending then ours = pending[id] == deliveries else ours = mine(id, deliveries) end
  if ours then
    ok[#ok + 1] = id
    if deliveries > 2 then redis.call('HDEL', KEYS[2], KEYS[1] .. id) end
    if state ~= '' and under_way[redis.call('HGET', KEYS[record], 'state')] then
      redis.call('HSET', KEYS[record], 'state', state)
      redis.call('HDEL', KEYS[record], 'cancel', 'holder', 'until')
    end
  else refused[#refused + 1] = id end
end
if #ok > 0 then
  redis.call('XACK', KEYS[1], ARGV[1], unpack(ok))
  redis.call('XDEL', KEYS[1], unpack(ok))
end
return refused
