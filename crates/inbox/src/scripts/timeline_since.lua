-- Tells the entries that changed since a revision; all of them if that cannot be told. Stands behind _history.lua.
--
-- ARGV[4] epoch, [5] rev, [6] 1 to look whether the latest changes may be lost: then a new life begins, as if it had been built anew
-- Returns {epoch, rev, base, 1 if these are all entries else 0, {entry, …}} or 'cold'.
local meta = redis.call('HMGET', META, 'epoch', 'rev', 'base', 'history')
local now, took_over_from = '', ''
if ARGV[6] == '1' then now, took_over_from = history() end
if now ~= '' and now ~= meta[4] then
  redis.call('HSET', META, 'history', now)
  if may_lack(meta[4], took_over_from) then
    meta[1], meta[2] = int(math.max(NOW, meta[1] + 1)), int(meta[2] + 1000000)
    meta[3] = meta[2]
    redis.call('HSET', META, 'epoch', meta[1], 'rev', meta[2], 'base', meta[3])
  end
end
local known = ARGV[4] == meta[1] and tonumber(ARGV[5]) >= tonumber(meta[3]) and tonumber(ARGV[5]) <= tonumber(meta[2])
local seqs = redis.call('ZRANGEBYSCORE', REVS, known and '(' .. ARGV[5] or '-inf', '+inf')
local entries = {}
for i = 1, #seqs, 1000 do
  for _, value in ipairs(redis.call('HMGET', ENTRIES, unpack(seqs, i, math.min(i + 999, #seqs)))) do
    if value then entries[#entries + 1] = value end
  end
end
return { meta[1], meta[2], meta[3], known and 0 or 1, entries }
