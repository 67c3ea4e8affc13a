-- The function that writes an item and publishes its card, unless the inbox knows the notification already: for write.lua and ahead.lua.
--
-- Nothing else is called as often, and each key and each function costs at each call: so it stands by itself, without _inbox.lua
-- (which tells what the keys hold), leaves the tidying to tidy.lua, and lets items wait until they are filed.
--
-- ARGV[1] the publishing command (PUBLISH, or SPUBLISH on a cluster)
-- It takes the keys of head, items, live and, if the item expires, `expires`; and the present time in ms, the notification's id, the
-- variant of its content, its expiry in ms or 0, and its card.
-- It gives "new seq rev unread at", or 'cold', or 'due': tidy up first. `new` is 1 or 0, `at` when it was written (ms); of one that is
-- not new, the rev is that of its latest change for as long as nobody has seen, read or archived it, then 0.
local call, format, publishing = redis.call, string.format, ARGV[1]
-- by Redis's clock, as the timeline, so that the two merge into one order
local time = call('TIME')
time = time[1] * 1000 + time[2] / 1000
local time_text = format('%d', time)
local function write(head, items, live, expires, now, id, variant, expiry, card)
  local whole = call('HGET', head, 'whole')
  if not whole then return call('HEXISTS', head, 'epoch') == 1 and 'due' or 'cold' end -- _inbox.lua puts an old head into one word
  local epoch, last_rev, unread, last_seq, last_at, rest, due, filed =
    string.match(whole, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+ %d+) (%d+) (%d+)$')
  -- As many as take long to file do not wait; nor does anything where it is not told how many do.
  if not filed or last_seq - filed >= 500 or due ~= '0' and tonumber(now) >= tonumber(due) then return 'due' end
  local field = 'i' .. id
  local known = call('HGET', items, field)
  if known then
    local seq = string.match(known, '^%d+')
    local item = call('HGET', items, seq)
    local rev, done, written = string.match(item or last_rev .. '\n' .. now, '^(%d+)([^\n]*)\n(%d+)')
    -- Whoever tells the record that it was written knows nothing of what was done to it since, which is told by others, and then is newer.
    if string.find(done, '^ %d+ %d+ %d+ ') and not string.find(done, '^ 0 0 0 ') then rev = '0' end
    return '0 ' .. seq .. ' ' .. rev .. ' ' .. unread .. ' ' .. written
  end
  local seq, rev = format('%d', last_seq + 1), format('%d', last_rev + 1)
  unread = format('%d', unread + 1)
  local at = time < tonumber(last_at) and last_at or time_text -- never back, whatever the clock does
  local item = rev .. ' 0 0 0 ' .. id .. '\n' .. at .. ' ' .. variant .. '\n' .. card
  call('HSET', items, seq, item, field, seq .. ' ' .. now)
  if expiry ~= '0' then
    call('ZADD', expires, expiry, seq .. ' ' .. id)
    if due == '0' or tonumber(expiry) < tonumber(due) then due = expiry end
  end
  whole = epoch .. ' ' .. rev .. ' ' .. unread .. ' ' .. seq .. ' ' .. at .. ' ' .. rest .. ' ' .. due .. ' ' .. filed
  call('HSET', head, 'whole', whole)
  call(publishing, live, 'item ' .. epoch .. ' ' .. rev .. ' ' .. unread .. ' ' .. card)
  return '1 ' .. seq .. ' ' .. rev .. ' ' .. unread .. ' ' .. at
end
