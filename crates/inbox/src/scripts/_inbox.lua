-- The head of every inbox script but write.lua: the keys by name, and what all of them do first.
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
--   expires      zset of "seq id" by time
--   revs         zset of the seqs of items that changed after they were written, by the rev of their latest change
--   gone         zset of ids of expired and withdrawn items by rev
--   cold_unread  hash seq -> state of unread items that were trimmed
--   live         the channel on which changes are published
-- ARGV[1] is the present time in ms, ARGV[2] the publishing command (PUBLISH, or SPUBLISH on a cluster).
--
-- Each command that a script gives costs about as much as all that it computes, and each function that it defines costs at each
-- call: hence few keys, each read once, and little here. Further functions are in _items.lua; _tidy.lua follows.
local HEAD, ITEMS, ORDER, UNREAD, KNOWN = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local EXPIRES, REVS, GONE, COLD_UNREAD, LIVE = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local NOW = tonumber(ARGV[1])
-- How long a notification is recognised after it was written, whatever was trimmed since.
local KNOWN_FOR = 24 * 60 * 60 * 1000
local EPOCH, REV, DUE = unpack(redis.call('HMGET', HEAD, 'epoch', 'rev', 'due'))
if not EPOCH then return 'cold' end
DUE = DUE and tonumber(DUE) or math.huge

local function int(text) return string.format('%.0f', text) end

-- What is taken is written by `publish`, which must follow.
local function next_rev()
  REV = int(REV + 1)
  return REV
end

-- One message: its kind, epoch, rev, unread, then what is particular to it. Comes last of what is changed at this rev: it sets
-- down in the head how many are unread now.
local function publish(kind, rest)
  local unread = redis.call('SCARD', UNREAD)
  redis.call('HSET', HEAD, 'rev', REV, 'unread', unread)
  redis.call(ARGV[2], LIVE, kind .. ' ' .. EPOCH .. ' ' .. REV .. ' ' .. unread .. ' ' .. rest)
end

-- There is something to tidy up from `time` on.
local function tidy_from(time)
  if time >= DUE then return end
  DUE = time
  redis.call('HSET', HEAD, 'due', int(time))
end
