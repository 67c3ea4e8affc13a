-- The name that Redis gives to all that it went through: another one once it was started again, and once another server took over.
-- It may then lack the latest changes, and has given their revisions to others by the time it is asked: a life that goes on under
-- another name is a new one. '' where it may not be asked. The second is the name of the server that it took over from.
local function history()
  local told = redis.pcall('INFO', 'replication')
  if type(told) ~= 'string' then return '', '' end
  return string.match(told, 'master_replid:(%x+)') or '', string.match(told, 'master_replid2:(%x+)') or ''
end
-- True if what was kept under the name `before` may lack its latest changes. In a Cluster a slot may have moved here from another
-- node, with all that it holds: there only a server that took over is a reason.
local function may_lack(before, took_over_from)
  if not before then return false end
  local told = redis.pcall('INFO', 'cluster')
  return before == took_over_from or not (type(told) == 'string' and string.find(told, 'cluster_enabled:1', 1, true))
end
