-- The head of every inbox script: the keys by name, and what all scripts do first.
--
-- KEYS (the same for all, one hash tag): head, items, order, unread, known, expires, revs, gone, cold_unread, live
--   head         hash, the inbox as a whole: epoch, seq (highest given), rev (latest), unread (how many are), base (changes up to
--                it cannot be told any more), at (when the latest item was written), floor (every item from this seq on is hot;
--                0: all there are), due (from when on there is something to tidy up; absent: nothing); and what this person is to
--                the app's timeline: e -> the revision by which they were there, t:TOPIC -> "joined-left …", u -> "seq at rev" up
--                to which all is read, SEQ -> "rev seen read archived id" of an entry that they treated otherwise, l -> locale,
--                p -> preferences (JSON)
--   items        hash: SEQ -> "rev seen read archived id" (times in ms, 0: not), cSEQ -> "written_at variant" LF card (JSON,
--                opaque here), iID -> "seq at" of hot items and of those written within 24 h
--   order        zset of the hot items' seqs        unread   set of seqs, of trimmed items too
--   known        zset of ids that are not hot any more, but known, by the time they were written
--   expires      zset of "seq id" by time           revs     zset of seqs by the rev of their latest change
--   gone         zset of ids of expired and withdrawn items by rev
--   cold_unread  hash seq -> state of unread items that were trimmed
--   live         the channel on which changes are published
-- ARGV[1] is the present time in ms, ARGV[2] the publishing command (PUBLISH, or SPUBLISH on a cluster).
--
-- Each command that a script gives costs about as much as all that it computes: hence few keys, and each read once.
local HEAD, ITEMS, ORDER, UNREAD, KNOWN = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local EXPIRES, REVS, GONE, COLD_UNREAD, LIVE = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local NOW = tonumber(ARGV[1])
-- How long a notification is recognised after it was written, whatever was trimmed since.
local KNOWN_FOR = 24 * 60 * 60 * 1000
local EPOCH, REV, SEQ, AT, DUE = unpack(redis.call('HMGET', HEAD, 'epoch', 'rev', 'seq', 'at', 'due'))
if not EPOCH then return 'cold' end
DUE = DUE and tonumber(DUE) or math.huge

local function int(text) return string.format('%.0f', text) end

local function parse(state)
  local rev, seen, read, archived, id = string.match(state, '^(%d+) (%d+) (%d+) (%d+) (.*)$')
  return { rev = rev, seen = tonumber(seen), read = tonumber(read), archived = tonumber(archived), id = id }
end

local function told(rev, s) return rev .. ' ' .. int(s.seen) .. ' ' .. int(s.read) .. ' ' .. int(s.archived) .. ' ' .. s.id end

-- What is taken is written by `publish`, which must follow.
local function next_rev()
  REV = int(REV + 1)
  return REV
end

-- One message: its kind, epoch, rev, unread, then what is particular to it. Comes last of what is changed at this rev: it sets
-- down in the head how many are unread now, and the further fields and values.
local function publish(kind, rest, ...)
  local unread = redis.call('SCARD', UNREAD)
  redis.call('HSET', HEAD, 'rev', REV, 'unread', unread, ...)
  redis.call(ARGV[2], LIVE, kind .. ' ' .. EPOCH .. ' ' .. REV .. ' ' .. unread .. ' ' .. rest)
  return unread
end

local function raise(field, value)
  if tonumber(value) > tonumber(redis.call('HGET', HEAD, field)) then redis.call('HSET', HEAD, field, value) end
end

-- There is something to tidy up from `time` on.
local function tidy_from(time)
  if time >= DUE then return end
  DUE = time
  redis.call('HSET', HEAD, 'due', int(time))
end

-- States and cards of hot items: state, card, …
local function look(seqs)
  local fields = {}
  for i, seq in ipairs(seqs) do fields[2 * i - 1], fields[2 * i] = seq, 'c' .. seq end
  return #seqs == 0 and {} or redis.call('HMGET', ITEMS, unpack(fields))
end

-- An item is hot no more. Its notification stays known, so that a repeated dispatch does not write it again.
local function leave(seq, id)
  redis.call('ZREM', ORDER, seq) redis.call('ZREM', REVS, seq) redis.call('HDEL', ITEMS, seq, 'c' .. seq)
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
  raise('base', int(tonumber(oldest[2])))
  redis.call('ZREMRANGEBYRANK', GONE, 0, drop - 1)
end

-- Items whose time is over leave, and what was known for long enough is forgotten: at most 100 of each a call, the rest next time.
local function tidy()
  local over = redis.call('ZRANGEBYSCORE', EXPIRES, '-inf', NOW, 'LIMIT', 0, 100)
  if #over > 0 then
    local rev, ids = next_rev(), {}
    for i, member in ipairs(over) do
      local seq, id = string.match(member, '^(%d+) (.*)$')
      redis.call('ZREM', EXPIRES, member)
      leave(seq, id)
      redis.call('SREM', UNREAD, seq) redis.call('HDEL', COLD_UNREAD, seq)
      redis.call('ZADD', GONE, rev, id)
      ids[i] = '\n0 0 0 ' .. id
    end
    forget_gone()
    publish('state', 'expired' .. table.concat(ids))
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KNOWN, '-inf', NOW - KNOWN_FOR, 'LIMIT', 0, 100)) do
    redis.call('ZREM', KNOWN, id)
    local seq = string.match(redis.call('HGET', ITEMS, 'i' .. id) or '0', '^%d+')
    if redis.call('HEXISTS', ITEMS, seq) == 0 then redis.call('HDEL', ITEMS, 'i' .. id) end
  end
  DUE = math.huge
  redis.call('HDEL', HEAD, 'due')
  local expiry, known = redis.call('ZRANGE', EXPIRES, 0, 0, 'WITHSCORES')[2], redis.call('ZRANGE', KNOWN, 0, 0, 'WITHSCORES')[2]
  if expiry then tidy_from(tonumber(expiry)) end
  if known then tidy_from(tonumber(known) + KNOWN_FOR) end
end

-- The inbox as a whole, for those who count: field, value, …
local function head() return redis.call('HGETALL', HEAD) end

if NOW >= DUE then tidy() end
