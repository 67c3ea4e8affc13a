-- Tells what changed since a revision.
--
-- ARGV[3] epoch, ARGV[4] rev, ARGV[5] the most changes to tell
-- Returns {1 if all of it is told else 0, head, {seq, item, …}, {ids that left}} or 'cold'.
local since, limit = tonumber(ARGV[4]), tonumber(ARGV[5])
local whole = redis.call('HGETALL', HEAD)
local lost = { 0, whole, {}, {} }
if ARGV[3] ~= EPOCH or since > tonumber(REV) or since < tonumber(BASE) then return lost end
local left = redis.call('ZRANGEBYSCORE', GONE, '(' .. ARGV[4], '+inf', 'LIMIT', 0, limit + 1)
local found, known = {}, {}

-- Takes in those that changed; false if one did not.
local function add(seqs)
  local looked, all = look(seqs), true
  for i, seq in ipairs(seqs) do
    local s = looked[i] and parse(looked[i])
    if s and tonumber(s.rev) <= since then all = false
    elseif s and not known[seq] then
      known[seq] = true
      if s.archived ~= 0 then left[#left + 1] = s.id
      else found[#found + 1] = { rev = tonumber(s.rev), seq = tonumber(seq), told = { seq, looked[i] } } end
    end
  end
  return all
end

-- What was done to items is in REVS. What was written since are the newest items, down to the first that did not change at all.
add(redis.call('ZRANGEBYSCORE', REVS, '(' .. ARGV[4], '+inf', 'LIMIT', 0, limit + 1))
local from, newest = 0, nil
repeat
  newest = redis.call('ZREVRANGE', ORDER, from, from + 9)
  from = from + 10
until not add(newest) or #newest < 10 or #found + #left > limit
if #found + #left > limit then return lost end
table.sort(found, function(a, b) return a.rev < b.rev or a.rev == b.rev and a.seq < b.seq end)
local items = {}
for _, one in ipairs(found) do
  for _, text in ipairs(one.told) do items[#items + 1] = text end
end
return { 1, whole, items, left }
