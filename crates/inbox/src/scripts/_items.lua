-- What scripts do to items: for those that need it, and for _tidy.lua.
-- An item, or a state alone. The card, with what is before it, is `rest`.
local function parse(item)
  local rev, seen, read, archived, id, rest = string.match(item, '^(%d+) (%d+) (%d+) (%d+) (%S+)(.*)$')
  return { rev = rev, seen = tonumber(seen), read = tonumber(read), archived = tonumber(archived), id = id, rest = rest }
end

local function told(rev, s) return rev .. ' ' .. int(s.seen) .. ' ' .. int(s.read) .. ' ' .. int(s.archived) .. ' ' .. s.id end

local function raise_base(value)
  if tonumber(value) <= tonumber(BASE) then return end
  BASE = value
  keep_whole()
end

-- Hot items, in order; false for one that is not there.
local function look(seqs)
  return #seqs == 0 and {} or redis.call('HMGET', ITEMS, unpack(seqs))
end

-- An item is hot no more. Its notification stays known, so that a repeated dispatch does not write it again.
local function leave(seq, id)
  redis.call('ZREM', ORDER, seq) redis.call('ZREM', REVS, seq) redis.call('HDEL', ITEMS, seq)
  local at = tonumber(string.match(redis.call('HGET', ITEMS, 'i' .. id) or '0', '%d+$'))
  if at <= NOW - KNOWN_FOR then redis.call('HDEL', ITEMS, 'i' .. id) return end
  redis.call('ZADD', KNOWN, at, id)
  tidy_from(at + KNOWN_FOR)
end

-- What is gone is told for a while; who was away longer lists again.
local function forget_gone()
  local drop = redis.call('ZCARD', GONE) - 300
  if drop <= 0 then return end
  local oldest = redis.call('ZRANGE', GONE, drop - 1, drop - 1, 'WITHSCORES')
  raise_base(int(tonumber(oldest[2])))
  redis.call('ZREMRANGEBYRANK', GONE, 0, drop - 1)
end
