-- Changes the state of items. What is so already changes nothing, takes no rev and is not published.
--
-- ARGV[3] read | unread | archived | unarchived | seen, then (at most 100) notification id, and its place in the timeline or ''
-- Returns {head, {"seen read archived id" of each changed}, {ids that are not hot},
--   {"seq seen read archived id" of each changed entry of the timeline}} or 'cold'.
local change, changed, missing = ARGV[3], {}, {}
local upto, upto_at = string.match(redis.call('HGET', HEAD, 'u') or '0 0', '^(%d+) (%d+)')

local function apply(s)
  local before = s.seen .. ' ' .. s.read .. ' ' .. s.archived
  if change == 'read' and s.read == 0 then s.read = NOW
    if s.seen == 0 then s.seen = NOW end
  elseif change == 'unread' then s.read = 0
  elseif change == 'archived' and s.archived == 0 then s.archived = NOW
  elseif change == 'unarchived' then s.archived = 0
  elseif change == 'seen' and s.seen == 0 then s.seen = NOW end
  return before ~= s.seen .. ' ' .. s.read .. ' ' .. s.archived
end

for i = 4, #ARGV, 2 do
  local id, place = ARGV[i], ARGV[i + 1]
  if place ~= '' then
    local held = redis.call('HGET', HEAD, place)
    local s = held and parse(held)
    if not s then
      local at = tonumber(place) <= tonumber(upto) and tonumber(upto_at) or 0
      s = { seen = at, read = at, archived = 0, id = id }
    end
    if apply(s) then changed[#changed + 1] = { place, s, true } end
  else
    local known = redis.call('HGET', ITEMS, 'i' .. id)
    local seq = known and string.match(known, '^%d+')
    local item = seq and redis.call('HGET', ITEMS, seq)
    if not item then
      missing[#missing + 1] = id
    else
      local s = parse(item)
      local was_unread = s.read == 0 and s.archived == 0
      if apply(s) then
        local is_unread = s.read == 0 and s.archived == 0
        if is_unread and not was_unread then redis.call('SADD', UNREAD, seq) end
        if was_unread and not is_unread then redis.call('SREM', UNREAD, seq) end
        changed[#changed + 1] = { seq, s }
      end
    end
  end
end
local lines, entries, told_of = {}, {}, {}
if #changed > 0 then
  local rev = next_rev()
  for i, c in ipairs(changed) do
    local state = told(rev, c[2])
    local line = string.match(state, '^%d+ (.*)$')
    if c[3] then
      redis.call('HSET', HEAD, c[1], state)
      entries[#entries + 1] = c[1] .. ' ' .. line
      told_of[i] = '@' .. c[1] .. ' ' .. line
    else
      redis.call('HSET', ITEMS, c[1], state .. c[2].rest)
      redis.call('ZADD', REVS, rev, c[1])
      lines[#lines + 1] = line
      told_of[i] = line
    end
  end
  publish('state', change .. '\n' .. table.concat(told_of, '\n'))
end
return { redis.call('HGETALL', HEAD), lines, missing, entries }
