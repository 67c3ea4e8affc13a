-- Writes one item and publishes its card, unless the inbox knows the notification already.
--
-- Nothing else is called as often, and each key and each function costs at each call: so it stands by itself, without _inbox.lua
-- (which tells what the keys hold), leaves the tidying to tidy.lua, and lets items wait until they are filed.
--
-- KEYS head, items, live, …, and `expires` as the last if the item expires
-- ARGV[1] present time in ms, [2] the publishing command, [3] notification id, [4] variant of its content, [5] expiry in ms or 0,
-- [6] card
-- Returns {1 if new, seq, rev, unread, when it was written (ms)}, 'cold', or 'due': tidy up first. The rev is that of its latest change
-- for as long as nobody has seen, read or archived it, then 0.
local HEAD, ITEMS, LIVE = KEYS[1], KEYS[2], KEYS[3]
local now, publishing, id, variant, expiry, card = unpack(ARGV)
local call, format = redis.call, string.format
local whole = call('HGET', HEAD, 'whole')
if not whole then return call('HEXISTS', HEAD, 'epoch') == 1 and 'due' or 'cold' end -- _inbox.lua puts an old head into one word
local epoch, last_rev, unread, last_seq, last_at, rest, due, filed =
  string.match(whole, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+ %d+) (%d+) (%d+)$')
-- As many as take long to file do not wait; nor does anything where it is not told how many do.
if not filed or last_seq - filed >= 500 or due ~= '0' and tonumber(now) >= tonumber(due) then return 'due' end
local known = call('HGET', ITEMS, 'i' .. id)
if known then
  local seq = string.match(known, '^%d+')
  local item = call('HGET', ITEMS, seq)
  local rev, done, written = string.match(item or last_rev .. '\n' .. now, '^(%d+)([^\n]*)\n(%d+)')
  -- Whoever tells the record that it was written knows nothing of what was done to it since, which is told by others, and then is newer.
  if string.find(done, '^ %d+ %d+ %d+ ') and not string.find(done, '^ 0 0 0 ') then rev = '0' end
  return { 0, seq, rev, unread, written }
end
local seq, rev = format('%d', last_seq + 1), format('%d', last_rev + 1)
unread = format('%d', unread + 1)
-- by Redis's clock, as the timeline, so that the two merge into one order; never back, whatever the clock does
local time = call('TIME')
local at = time[1] * 1000 + time[2] / 1000
at = format('%d', at < tonumber(last_at) and last_at or at)
local item = rev .. ' 0 0 0 ' .. id .. '\n' .. at .. ' ' .. variant .. '\n' .. card
call('HSET', ITEMS, seq, item, 'i' .. id, seq .. ' ' .. now)
if expiry ~= '0' then
  call('ZADD', KEYS[#KEYS], expiry, seq .. ' ' .. id)
  if due == '0' or tonumber(expiry) < tonumber(due) then due = expiry end
end
whole = epoch .. ' ' .. rev .. ' ' .. unread .. ' ' .. seq .. ' ' .. at .. ' ' .. rest .. ' ' .. due .. ' ' .. filed
call('HSET', HEAD, 'whole', whole)
call(publishing, LIVE, 'item ' .. epoch .. ' ' .. rev .. ' ' .. unread .. ' ' .. card)
return { 1, seq, rev, unread, at }
