-- Tells what changed since a revision.
--
-- ARGV[3] epoch, ARGV[4] rev, ARGV[5] the most changes to tell
-- Returns {1 if all of it is told else 0, epoch, rev, unread, {seq, state, card, …}, {ids that left}, reader} or 'cold'.
local since, limit = tonumber(ARGV[4]), tonumber(ARGV[5])
local unread = redis.call('SCARD', UNREAD)
local lost = { 0, EPOCH, REV, unread, {}, {}, reader() }
if ARGV[3] ~= EPOCH or since > tonumber(REV) or since < tonumber(redis.call('HGET', META, 'base')) then return lost end
local seqs = redis.call('ZRANGEBYSCORE', REVS, '(' .. ARGV[4], '+inf', 'LIMIT', 0, limit + 1)
local left = redis.call('ZRANGEBYSCORE', GONE, '(' .. ARGV[4], '+inf', 'LIMIT', 0, limit + 1)
if #seqs + #left > limit then return lost end
local items = {}
if #seqs > 0 then
  local states, cards = redis.call('HMGET', STATE, unpack(seqs)), redis.call('HMGET', CARDS, unpack(seqs))
  for i, seq in ipairs(seqs) do
    local s = parse(states[i])
    if s.archived ~= 0 then left[#left + 1] = s.id
    else items[#items + 1] = seq items[#items + 1] = states[i] items[#items + 1] = cards[i] end
  end
end
return { 1, EPOCH, REV, unread, items, left, reader() }
