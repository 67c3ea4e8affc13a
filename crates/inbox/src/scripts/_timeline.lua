-- The head of every timeline script: the keys by name, and what all scripts do first.
--
-- KEYS (the same for all, one hash tag): meta, entries, revs, expires, times, ids, live
--   meta      hash: epoch, rev (latest; an entry's seq is the rev that wrote it), base (changes up to it cannot be told any
--             more), at (when the latest entry was written), history (that of the Redis in which it has its life: _history.lua)
--   entries   hash seq -> "seq rev at gone" LF body (JSON, opaque here); gone is - , recalled or expired
--   revs      zset of seqs by the rev of their latest change      expires   zset of the seqs of live entries by time
--   times     zset of seqs by the time of writing                 ids       hash notification id -> seq
--   live      the channel on which changes are published
-- ARGV[1] is the present time in ms, ARGV[2] the publishing command, ARGV[3] how long entries are kept in ms.
local META, ENTRIES, REVS, EXPIRES, TIMES, IDS, LIVE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local NOW = tonumber(ARGV[1])

local function int(text) return string.format('%.0f', text) end

local EPOCH, REV, AT = unpack(redis.call('HMGET', META, 'epoch', 'rev', 'at'))
if not EPOCH then return 'cold' end

local function next_rev()
  REV = int(REV + 1)
  redis.call('HSET', META, 'rev', REV)
  return REV
end

local function put(seq, rev, at, gone, body)
  local value = seq .. ' ' .. rev .. ' ' .. at .. ' ' .. gone .. '\n' .. body
  redis.call('HSET', ENTRIES, seq, value)
  redis.call('ZADD', REVS, rev, seq)
  redis.call(ARGV[2], LIVE, EPOCH .. ' ' .. value)
  return value
end

local function read(seq)
  local value = redis.call('HGET', ENTRIES, seq)
  if not value then return nil end
  local at, gone, body = string.match(value, '^%d+ %d+ (%d+) (%S+)\n(.*)$')
  return { at = at, gone = gone, body = body, value = value }
end

-- Entries whose time is over leave before anything else happens: at most 100 a call, the rest next time.
for _, seq in ipairs(redis.call('ZRANGEBYSCORE', EXPIRES, '-inf', NOW, 'LIMIT', 0, 100)) do
  local e = read(seq)
  redis.call('ZREM', EXPIRES, seq)
  if e and e.gone == '-' then put(seq, next_rev(), e.at, 'expired', e.body) end
end

-- Entries that are too old are forgotten: they count in no inbox any more.
for _, seq in ipairs(redis.call('ZRANGEBYSCORE', TIMES, '-inf', NOW - tonumber(ARGV[3]), 'LIMIT', 0, 100)) do
  local e = read(seq)
  local id = e and string.match(e.body, '"id":"([^"]+)"')
  local rev = redis.call('ZSCORE', REVS, seq)
  redis.call('HDEL', ENTRIES, seq) redis.call('ZREM', REVS, seq) redis.call('ZREM', TIMES, seq) redis.call('ZREM', EXPIRES, seq)
  if id then redis.call('HDEL', IDS, id) end
  if rev and tonumber(rev) > tonumber(redis.call('HGET', META, 'base')) then redis.call('HSET', META, 'base', int(tonumber(rev))) end
end
