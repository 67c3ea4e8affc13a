-- Writes items, each into the inbox of one person. Stands behind _write.lua.
--
-- KEYS per item: head, items, live, `expires` if it expires, and where its content is kept if that comes along
-- ARGV the publishing command, then per item: present time in ms, id, variant, expiry in ms or 0, card, content ('' if it does not
-- come along)
-- Returns what `write` gives of each, or what Redis says of an inbox that is broken: it keeps no other from its item.
local answers, k = {}, 1
for i = 2, #ARGV, 6 do
  local now, id, variant, expiry, card, content = unpack(ARGV, i, i + 5)
  local head, items, live, expires = KEYS[k], KEYS[k + 1], KEYS[k + 2], nil
  k = k + 3
  if expiry ~= '0' then expires, k = KEYS[k], k + 1 end
  if content ~= '' then
    call('SET', KEYS[k], content)
    k = k + 1
  end
  local done, answer = pcall(write, head, items, live, expires, now, id, variant, expiry, card)
  answers[#answers + 1] = done and answer or type(answer) == 'table' and answer.err or tostring(answer)
end
return answers
