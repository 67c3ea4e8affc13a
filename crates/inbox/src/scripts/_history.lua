-- The name that Redis gives to all that it went through: another one once it was started again, and once another server took over.
-- It may then lack the latest changes, and has given their revisions to others by the time it is asked: a life that goes on under
-- another name is a new one. '' where it may not be asked.
local function history()
  local told = redis.pcall('INFO', 'replication')
  return type(told) == 'string' and string.match(told, 'master_replid:(%x+)') or ''
end
