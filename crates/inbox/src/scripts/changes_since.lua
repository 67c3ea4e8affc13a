-- Tells what changed since a revision.
--
-- ARGV[3] epoch, ARGV[4] rev, ARGV[5] the most changes to tell
-- Returns {1 if all of it is told else 0, head, {seq, state, card, …}, {ids that left}} or 'cold'.
local since, limit = tonumber(ARGV[4]), tonumber(ARGV[5])
local lost = { 0, head(), {}, {} }
if ARGV[3] ~= EPOCH or since > tonumber(REV) or since < tonumber(redis.call('HGET', HEAD, 'base')) then return lost end
local seqs = redis.call('ZRANGEBYSCORE', REVS, '(' .. ARGV[4], '+inf', 'LIMIT', 0, limit + 1)
local left = redis.call('ZRANGEBYSCORE', GONE, '(' .. ARGV[4], '+inf', 'LIMIT', 0, limit + 1)
if #seqs + #left > limit then return lost end
local items = {}
local found = look(seqs)
for i, seq in ipairs(seqs) do
  local state, card = found[2 * i - 1], found[2 * i]
  local s = parse(state)
  if s.archived ~= 0 then left[#left + 1] = s.id
  else items[#items + 1] = seq items[#items + 1] = state items[#items + 1] = card end
end
return { 1, head(), items, left }
