-- Marks unread items as read: at most 1,000 a call, the caller repeats until none is left.
--
-- Items that changed after a given revision are left: they came, or were marked unread, after what the reader saw.
-- ARGV[3] epoch and ARGV[4] rev up to which, or '' for no bound
-- Returns {epoch, rev, unread, {"seen read archived id" of each changed}, 1 if more may be left} or 'cold'.
local lines, more = {}, 0
local epoch = redis.call('HGET', META, 'epoch')
if ARGV[3] == '' or ARGV[3] == epoch then
  local changed = {}
  for _, seq in ipairs(redis.call('SMEMBERS', UNREAD)) do
    if #changed == 1000 then more = 1 break end
    local hot = redis.call('HGET', STATE, seq)
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
  if #changed > 0 then
    local rev = next_rev()
    for i, c in ipairs(changed) do
      local state = told(rev, c[2])
      redis.call('SREM', UNREAD, c[1])
      if c[3] then
        redis.call('HDEL', COLD_UNREAD, c[1])
        raise('base', rev) -- who was away cannot be told of an item that is not hot
      else
        redis.call('HSET', STATE, c[1], state)
        redis.call('ZADD', REVS, rev, c[1])
      end
      lines[i] = string.match(state, '^%d+ (.*)$')
    end
    publish('state', rev, 'read\n' .. table.concat(lines, '\n'))
  end
end
local meta = redis.call('HMGET', META, 'epoch', 'rev')
return { meta[1], meta[2], redis.call('SCARD', UNREAD), lines, more }
