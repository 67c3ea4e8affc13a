-- The head of every inbox script but write.lua and ahead.lua: the keys by name, and what all of them do first.
--
-- KEYS (the same for all, one hash tag): head, items, order, unread, known, expires, revs, gone, cold_unread, live
--   head         hash: whole -> "epoch rev unread seq at base floor due filed", the inbox as a whole: rev (latest), unread (how many
--                are), seq (highest given), at (when the latest item was written; 0: none), base (changes up to it cannot be told any
--                more), floor (every item from this seq on is hot; 0: all there are), due (from when on there is something to tidy up;
--                0: nothing), filed (the items up to this seq are in `order`, and in `unread` if they are; those beyond are unread),
--                in one word, since each word of an answer costs; and what this person is to the app's timeline: e -> the
--                revision by which they were there, t:TOPIC -> "joined-left …", u -> "seq at rev" up to which all is read, SEQ ->
--                "rev seen read archived id" of an entry that they treated otherwise, l -> locale, p -> preferences (JSON)
--   items        hash: SEQ -> "rev seen read archived id" (the state: times in ms, 0: not) LF "written_at variant" LF card (JSON,
--                opaque here), iID -> "seq at" of hot items and of those written within 24 h; history -> that of the Redis in which
--                the inbox has its life (_history.lua)
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
local WHOLE = redis.call('HGET', HEAD, 'whole')
if not WHOLE then
  -- Until November 2026 each part of the whole, and each card, had a field of its own.
  local parts = redis.call('HMGET', HEAD, 'epoch', 'rev', 'unread', 'seq', 'at', 'base', 'floor', 'due')
  if not parts[1] then return 'cold' end
  for i = 2, 8 do parts[i] = parts[i] or '0' end
  WHOLE = table.concat(parts, ' ')
  redis.call('HDEL', HEAD, 'epoch', 'rev', 'unread', 'seq', 'at', 'base', 'floor', 'due')
  for _, field in ipairs(redis.call('HKEYS', ITEMS)) do
    local seq = string.match(field, '^c(%d+)$')
    local state = seq and redis.call('HGET', ITEMS, seq)
    if state then redis.call('HSET', ITEMS, seq, state .. '\n' .. redis.call('HGET', ITEMS, field)) end
    if seq then redis.call('HDEL', ITEMS, field) end
  end
end
local EPOCH, REV, COUNT, SEQ, AT, BASE, FLOOR, DUE, FILED =
  string.match(WHOLE, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) ?(%d*)$')
DUE = DUE == '0' and math.huge or tonumber(DUE)

local function int(text) return string.format('%.0f', text) end

local function keep_whole()
  local due = DUE == math.huge and '0' or int(DUE)
  redis.call('HSET', HEAD, 'whole', table.concat({ EPOCH, REV, COUNT, SEQ, AT, BASE, FLOOR, due, FILED }, ' '))
end

-- To write an item must cost little: what was written since is filed by whoever comes next, in few commands, however many they are.
if FILED ~= SEQ then
  local order, unread = {}, {}
  local function file(seq, is_unread)
    order[#order + 1] = seq
    order[#order + 1] = seq
    if is_unread then unread[#unread + 1] = seq end
  end
  if FILED ~= '' then
    for seq = FILED + 1, SEQ do file(int(seq), true) end
  else
    -- Until November 2026 each was filed when it was written. A process of then may also have come by since, to which those that
    -- wait mean nothing: so all are looked at.
    for _, seq in ipairs(redis.call('HKEYS', ITEMS)) do
      local item = string.find(seq, '^%d') and redis.call('HGET', ITEMS, seq)
      local read, archived = string.match(item or '', '^%d+ %d+ (%d+) (%d+)')
      if item then file(seq, read == '0' and archived == '0') end
    end
  end
  for i = 1, #order, 1000 do redis.call('ZADD', ORDER, unpack(order, i, math.min(i + 999, #order))) end
  for i = 1, #unread, 1000 do redis.call('SADD', UNREAD, unpack(unread, i, math.min(i + 999, #unread))) end
  FILED, COUNT = SEQ, redis.call('SCARD', UNREAD)
  keep_whole()
end

-- What is taken is written by `publish`, which must follow.
local function next_rev()
  REV = int(REV + 1)
  return REV
end

-- One message: its kind, epoch, rev, unread, then what is particular to it. Comes last of what is changed at this rev: it sets
-- down in the head how many are unread now.
local function publish(kind, rest)
  COUNT = redis.call('SCARD', UNREAD)
  keep_whole()
  redis.call(ARGV[2], LIVE, kind .. ' ' .. EPOCH .. ' ' .. REV .. ' ' .. COUNT .. ' ' .. rest)
end

-- There is something to tidy up from `time` on.
local function tidy_from(time)
  if time >= DUE then return end
  DUE = time
  keep_whole()
end
