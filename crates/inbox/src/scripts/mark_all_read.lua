-- Marks unread items as read: at most 1,000 a call, the caller repeats until none is left.
--
-- Items that changed after a given revision are left: they came, or were marked unread, after what the reader saw.
-- ARGV[3] epoch and ARGV[4] rev up to which, or '' for no bound; ARGV[5] the place in the timeline up to which, or 0
-- Returns {head, {"seen read archived id" of each changed}, 1 if more may be left,
--   {"seq seen read archived id" of each entry of the timeline that had been marked unread}, "seq at" if read_upto rose else ''}
--   or 'cold'.
local lines, entries, told_of, upto, more = {}, {}, {}, '', 0
if ARGV[3] == '' or ARGV[3] == EPOCH then
  local changed = {}
  for _, seq in ipairs(redis.call('SMEMBERS', UNREAD)) do
    if #changed == 1000 then more = 1 break end
    local hot = redis.call('HGET', ITEMS, seq)
    local state = hot or redis.call('HGET', COLD_UNREAD, seq) -- trimmed: its state is kept for as long as it is unread
    if state then
      local s = parse(state)
      if ARGV[4] == '' or tonumber(s.rev) <= tonumber(ARGV[4]) then
        s.read = NOW
        if s.seen == 0 then s.seen = NOW end
        changed[#changed + 1] = { seq, s, not hot }
      end
    end
  end
  -- entries of the timeline that were marked unread by themselves; the others are told by one number
  local held, marked = redis.call('HGETALL', HEAD), {}
  for i = 1, #held, 2 do
    local place = string.match(held[i], '^%d+$')
    if place and tonumber(place) <= tonumber(ARGV[5]) then
      local s = parse(held[i + 1])
      if s.read == 0 and s.archived == 0 and (ARGV[4] == '' or tonumber(s.rev) <= tonumber(ARGV[4])) then
        s.read = NOW
        if s.seen == 0 then s.seen = NOW end
        marked[#marked + 1] = { place, s }
      end
    end
  end
  local before = string.match(redis.call('HGET', HEAD, 'u') or '0', '^%d+')
  local rises = tonumber(ARGV[5]) > tonumber(before)
  if #changed > 0 or #marked > 0 or rises then
    local rev = next_rev()
    for i, c in ipairs(changed) do
      local state = told(rev, c[2])
      redis.call('SREM', UNREAD, c[1])
      if c[3] then
        redis.call('HDEL', COLD_UNREAD, c[1])
        raise_base(rev) -- who was away cannot be told of an item that is not hot
      else
        redis.call('HSET', ITEMS, c[1], state .. c[2].rest)
        redis.call('ZADD', REVS, rev, c[1])
      end
      lines[i] = string.match(state, '^%d+ (.*)$')
      told_of[#told_of + 1] = lines[i]
    end
    for i, m in ipairs(marked) do
      local state = told(rev, m[2])
      redis.call('HSET', HEAD, m[1], state)
      entries[i] = m[1] .. ' ' .. string.match(state, '^%d+ (.*)$')
      told_of[#told_of + 1] = '@' .. entries[i]
    end
    if rises then
      upto = ARGV[5] .. ' ' .. ARGV[1]
      redis.call('HSET', HEAD, 'u', upto .. ' ' .. rev)
      told_of[#told_of + 1] = '^' .. upto
    end
    publish('state', 'read\n' .. table.concat(told_of, '\n'))
  end
end
return { redis.call('HGETALL', HEAD), lines, more, entries, upto }
