-- Reads the profile of the one person whom a notification is for, and writes its item and its content if they take whatever comes:
-- ahead of its dispatch, in the round trip that submits it. Stands behind write.lua, which is the function `write` here.
--
-- KEYS head, items, live, the record of the notification's job, the profile, the content, and `expires` if the item does
-- ARGV as write.lua, then the content (JSON)
-- Returns {the profile's fields, what write.lua returns, or '' if nothing was written}
local record, profile, content = KEYS[4], KEYS[5], KEYS[6]
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
redis.call('SET', content, ARGV[7], 'PX', 48 * 60 * 60 * 1000)
return { fields, write() }
