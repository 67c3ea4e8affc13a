-- Comes before scripts that take a cursor, behind _history.lua: where the latest changes may be lost, a new life begins, as if the
-- inbox had been built anew. Its revisions and places lie beyond any that the record may hold.
do
  local now, took_over_from = history()
  local before = redis.call('HGET', ITEMS, 'history')
  if now ~= '' and now ~= before then
    redis.call('HSET', ITEMS, 'history', now)
    if may_lack(before, took_over_from) then
      EPOCH, REV, SEQ = int(math.max(NOW, EPOCH + 1)), int(math.max(NOW, REV + 1)), int(SEQ + 1000000)
      BASE, FILED = REV, SEQ
      keep_whole()
    end
  end
end
