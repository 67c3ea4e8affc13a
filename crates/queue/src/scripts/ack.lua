-- Ends entries that are done.
-- KEYS stream, starts, then the records of those that end with a state. ARGV group, consumer, the first and last id between which
-- to look all pending entries of the consumer up at once ('' to look each up by itself), how many were delivered once and leave
-- their record; the ids of these; then per other entry: id, deliveries, the state in which its record ends ('' to leave it).
-- Returns the ids that were not ours (any more).
local pending
if ARGV[3] ~= '' then
  pending = {}
  for _, p in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[4], 100000, ARGV[2])) do pending[p[1]] = p[4] end
end
local under_way = { queued = true, claimed = true, sending = true }
local ok, refused, record = {}, {}, 2
-- Notes an entry as ours or as refused; true if it is ours.
local function note(id, deliveries)
  local ours
  if pending then ours = pending[id] == deliveries else ours = mine(id, deliveries) end
  local noted = ours and ok or refused
  noted[#noted + 1] = id
  return ours
end
local plain = 5 + tonumber(ARGV[5])
for i = 6, plain do note(ARGV[i], 1) end
for i = plain + 1, #ARGV, 3 do
  local id, deliveries, state = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  if state ~= '' then record = record + 1 end
  if note(id, deliveries) then
    if deliveries > 2 then redis.call('HDEL', KEYS[2], KEYS[1] .. id) end
    if state ~= '' and under_way[redis.call('HGET', KEYS[record], 'state')] then
      redis.call('HSET', KEYS[record], 'state', state)
      redis.call('HDEL', KEYS[record], 'holder', 'until')
    end
  end
end
if #ok > 0 then
  redis.call('XACK', KEYS[1], ARGV[1], unpack(ok))
  redis.call('XDEL', KEYS[1], unpack(ok))
end
return refused
