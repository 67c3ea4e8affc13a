-- The head of every inbox script: the keys by name, and what all scripts do first.
--
-- KEYS (the same for all, one hash tag): meta, order, cards, state, unread, ids, seen, expires, revs, gone, cold_unread, timeline, live
--   meta         hash: epoch, seq (highest given), rev (latest), base (changes up to it cannot be told any more), at (when the
--                latest item was written), floor (every item from this seq on is hot; 0: all there are)
--   order        zset of the hot items' seqs        cards  hash seq -> "written_at variant" LF card (JSON, opaque here)
--   state        hash seq -> "rev seen read archived id" (times in ms, 0: not)
--   unread       set of seqs, of trimmed items too  cold_unread  hash seq -> state of those trimmed
--   ids          hash id -> "seq at" of hot items and of those written within 24 h; seen: zset of ids by that time
--   expires      zset of "seq id" by time           revs   zset of seqs by the rev of their latest change
--   gone         zset of ids of expired and withdrawn items by rev        live   the channel on which changes are published
--   timeline     hash, what this person is to the app's timeline: e -> the revision by which they were there, t:TOPIC ->
--                "joined-left …", u -> "seq at rev" up to which all is read, SEQ -> "rev seen read archived id" of an
--                entry that they treated otherwise, l -> locale, p -> preferences (JSON)
-- ARGV[1] is the present time in ms, ARGV[2] the publishing command (PUBLISH, or SPUBLISH on a cluster).
local META, ORDER, CARDS, STATE, UNREAD, IDS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local SEEN, EXPIRES, REVS, GONE, COLD_UNREAD, TIMELINE, LIVE = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13]
local NOW = tonumber(ARGV[1])
-- What META says, read once: each command that a script gives costs about as much as all that it computes.
local EPOCH, REV, SEQ, AT = unpack(redis.call('HMGET', META, 'epoch', 'rev', 'seq', 'at'))
if not EPOCH then return 'cold' end

local function int(text) return string.format('%.0f', text) end

local function parse(state)
  local rev, seen, read, archived, id = string.match(state, '^(%d+) (%d+) (%d+) (%d+) (.*)$')
  return { rev = rev, seen = tonumber(seen), read = tonumber(read), archived = tonumber(archived), id = id }
end

local function told(rev, s) return rev .. ' ' .. int(s.seen) .. ' ' .. int(s.read) .. ' ' .. int(s.archived) .. ' ' .. s.id end

local function next_rev()
  REV = int(REV + 1)
  redis.call('HSET', META, 'rev', REV)
  return REV
end

-- One message: its kind, epoch, rev, unread, then what is particular to it.
local function publish(kind, rev, rest)
  local unread = redis.call('SCARD', UNREAD)
  redis.call(ARGV[2], LIVE, kind .. ' ' .. EPOCH .. ' ' .. rev .. ' ' .. unread .. ' ' .. rest)
  return unread
end

local function raise(field, value)
  if tonumber(value) > tonumber(redis.call('HGET', META, field)) then redis.call('HSET', META, field, value) end
end

-- What is gone is told for a while; who was away longer lists again.
local function forget_gone()
  local drop = redis.call('ZCARD', GONE) - 300
  if drop <= 0 then return end
  local oldest = redis.call('ZRANGE', GONE, drop - 1, drop - 1, 'WITHSCORES')
  raise('base', int(tonumber(oldest[2])))
  redis.call('ZREMRANGEBYRANK', GONE, 0, drop - 1)
end

-- Items whose time is over leave before anything else happens: at most 100 a call, the rest next time.
local function purge()
  local over = redis.call('ZRANGEBYSCORE', EXPIRES, '-inf', NOW, 'LIMIT', 0, 100)
  if #over == 0 then return end
  local rev, ids = next_rev(), {}
  for _, member in ipairs(over) do
    local seq, id = string.match(member, '^(%d+) (.*)$')
    redis.call('ZREM', EXPIRES, member)
    redis.call('ZREM', ORDER, seq) redis.call('HDEL', CARDS, seq) redis.call('HDEL', STATE, seq)
    redis.call('SREM', UNREAD, seq) redis.call('HDEL', COLD_UNREAD, seq) redis.call('ZREM', REVS, seq)
    redis.call('ZADD', GONE, rev, id)
    ids[#ids + 1] = '\n0 0 0 ' .. id
  end
  forget_gone()
  publish('state', rev, 'expired' .. table.concat(ids))
end

-- What this person is to the timeline, for those who count.
local function reader() return redis.call('HGETALL', TIMELINE) end

purge()
