-- Lists hot items, newest first, archived ones left out.
--
-- ARGV[3] seq below which to list, or '' for the newest, ARGV[4] the most to give
-- Returns {floor, {seq, state, card, …}, reader} or 'cold'. Items below the floor are the record's to list.
local floor = redis.call('HGET', META, 'floor')
local max = ARGV[3] == '' and '+inf' or '(' .. ARGV[3]
local out, limit, offset = {}, tonumber(ARGV[4]), 0
while #out < 3 * limit do
  local seqs = redis.call('ZREVRANGEBYSCORE', ORDER, max, floor, 'LIMIT', offset, limit)
  if #seqs == 0 then break end
  offset = offset + #seqs
  local states, cards = redis.call('HMGET', STATE, unpack(seqs)), redis.call('HMGET', CARDS, unpack(seqs))
  for i, seq in ipairs(seqs) do
    if #out < 3 * limit and states[i] and parse(states[i]).archived == 0 then
      out[#out + 1] = seq out[#out + 1] = states[i] out[#out + 1] = cards[i]
    end
  end
end
return { floor, out, reader() }
