-- Reads the profile of the one person whom a notification is for, and writes its item and its content if they take whatever comes:
-- ahead of its dispatch, in the round trip that submits it. Stands behind _write.lua.
--
-- KEYS head, items, live, the record of the notification's job, the profile, the content, and `expires` if the item does
-- ARGV the publishing command, present time in ms, id, variant, expiry in ms or 0, card, content
-- Returns {the profile's fields, what `write` gives, or '' if nothing was written}
local head, items, live, record, profile, kept, expires = unpack(KEYS)
local now, id, variant, expiry, card, content = unpack(ARGV, 2)
local fields = redis.call('HGETALL', profile)
-- Without a record it was not accepted: it is a repeat, or Redis is full. And this may be late: what was withdrawn, said otherwise or
-- dispatched since is not written any more.
local state, withdrawn, rewritten = unpack(redis.call('HMGET', record, 'state', 'cancel', 'rewritten'))
if state ~= 'queued' or withdrawn or rewritten then return { fields, '' } end
local complete, preferences
for i = 1, #fields, 2 do
  if fields[i] == 'complete' then complete = true end
  if fields[i] == 'preferences' then preferences = fields[i + 1] end
end
-- Whoever has chosen anything is asked what, where routes are decided.
if not complete or preferences and not string.find(preferences, '^%d+ {}$') then return { fields, '' } end
-- Its end is set anew once it is on record; a dispatch that decides otherwise never says that it is.
redis.call('SET', kept, content, 'PX', 48 * 60 * 60 * 1000)
return { fields, write(head, items, live, expires, now, id, variant, expiry, card) }
