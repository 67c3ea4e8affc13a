-- Sets what this person is to the timeline: memberships, locale, preferences.
--
-- Memberships only grow ("joined-left …"), so that of two writers the one who knows less does not win.
-- ARGV[3…] field, value
-- Returns {epoch, rev, unread} or 'cold'.
local set = {}
for i = 3, #ARGV, 2 do
  local field, value = ARGV[i], ARGV[i + 1]
  local held = redis.call('HGET', HEAD, field) or ''
  local newer, joins = held ~= value, false
  if newer and string.sub(field, 1, 2) == 't:' then
    local _, had = string.gsub(held, '%d+', '')
    local _, has = string.gsub(value, '%d+', '')
    newer, joins = has > had, has % 2 == 1
  end
  if newer then
    redis.call('HSET', HEAD, field, value)
    set[#set + 1] = field .. '\t' .. value
    -- In another language, or without what is muted now, the whole inbox looks otherwise; and what was written to a topic since one
    -- joined it was passed by until now. Who was away loads it again.
    if field == 'l' or field == 'p' or joins then set.reload = true end
  end
end
if #set > 0 then
  local rev = next_rev()
  if set.reload then raise_base(rev) end
  publish('reader', table.concat(set, '\n'))
end
return { EPOCH, REV, redis.call('SCARD', UNREAD) }
