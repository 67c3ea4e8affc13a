-- Tells the entries that changed since a revision; all of them if that cannot be told.
--
-- ARGV[4] epoch, [5] rev
-- Returns {epoch, rev, base, 1 if these are all entries else 0, {entry, …}} or 'cold'.
local meta = redis.call('HMGET', META, 'epoch', 'rev', 'base')
local known = ARGV[4] == meta[1] and tonumber(ARGV[5]) >= tonumber(meta[3]) and tonumber(ARGV[5]) <= tonumber(meta[2])
local seqs = redis.call('ZRANGEBYSCORE', REVS, known and '(' .. ARGV[5] or '-inf', '+inf')
local entries = {}
for i = 1, #seqs, 1000 do
  for _, value in ipairs(redis.call('HMGET', ENTRIES, unpack(seqs, i, math.min(i + 999, #seqs)))) do
    if value then entries[#entries + 1] = value end
  end
end
return { meta[1], meta[2], meta[3], known and 0 or 1, entries }
