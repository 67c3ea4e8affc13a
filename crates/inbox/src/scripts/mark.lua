-- Changes the state of items. What is so already changes nothing, takes no rev and is not published.
--
-- ARGV[3] read | unread | archived | unarchived | seen, ARGV[4…] notification ids (at most 100)
-- Returns {epoch, rev, unread, {"seen read archived id" of each changed}, {ids that are not hot}} or 'cold'.
local change, changed, missing = ARGV[3], {}, {}
for i = 4, #ARGV do
  local known = redis.call('HGET', IDS, ARGV[i])
  local seq = known and string.match(known, '^%d+')
  local state = seq and redis.call('HGET', STATE, seq)
  if not state then
    missing[#missing + 1] = ARGV[i]
  else
    local s = parse(state)
    local was_unread = s.read == 0 and s.archived == 0
    local before = s.seen .. ' ' .. s.read .. ' ' .. s.archived
    if change == 'read' and s.read == 0 then s.read = NOW
      if s.seen == 0 then s.seen = NOW end
    elseif change == 'unread' then s.read = 0
    elseif change == 'archived' and s.archived == 0 then s.archived = NOW
    elseif change == 'unarchived' then s.archived = 0
    elseif change == 'seen' and s.seen == 0 then s.seen = NOW end
    if before ~= s.seen .. ' ' .. s.read .. ' ' .. s.archived then
      local is_unread = s.read == 0 and s.archived == 0
      if is_unread and not was_unread then redis.call('SADD', UNREAD, seq) end
      if was_unread and not is_unread then redis.call('SREM', UNREAD, seq) end
      changed[#changed + 1] = { seq, s }
    end
  end
end
local lines = {}
if #changed > 0 then
  local rev = next_rev()
  for i, c in ipairs(changed) do
    local state = told(rev, c[2])
    redis.call('HSET', STATE, c[1], state)
    redis.call('ZADD', REVS, rev, c[1])
    lines[i] = string.match(state, '^%d+ (.*)$')
  end
  publish('state', rev, change .. '\n' .. table.concat(lines, '\n'))
end
local meta = redis.call('HMGET', META, 'epoch', 'rev')
return { meta[1], meta[2], redis.call('SCARD', UNREAD), lines, missing }
