-- The head of the scripts that add jobs: a record, and an entry on its lane or in the due set, unless there is a record, which is
-- not looked for if it `is_new`. A record has no more than it needs until somebody claims it: every field is written to the log of
-- Redis, too. Returns how many were added; `entered` counts how many of them entered each lane.
--
-- `job` is "id payload", as its entry keeps it. `how` is the lane (0..2) of a job that is due now and never expires, as nearly all are,
-- or "lane due expires …" (in ms, 0: not). Few words, since each is read, copied and made a string of Lua, which of six was a tenth of
-- adding a job.
local now
local entered = { 0, 0, 0 }
local function add(is_new, record, job, how, body)
  local lane, due, expires = how, '0', '0'
  if #how > 1 then lane, due, expires = string.match(how, '^(%d) (%-?%d+) (%-?%d+)') end
  if body == '' then
    if redis.call('HSETNX', record, 'state', 'queued') == 0 then return 0 end
  else
    if not is_new and redis.call('EXISTS', record) == 1 then return 0 end
    redis.call('HSET', record, 'state', 'queued', 'body', body)
  end
  if expires ~= '0' then redis.call('HSET', record, 'expires', expires) end
  -- KEYS[1] due, then high, normal, bulk.
  if due ~= '0' and not now then
    local t = redis.call('TIME')
    now = t[1] * 1000 + math.floor(t[2] / 1000)
  end
  if due ~= '0' and tonumber(due) > now then redis.call('ZADD', KEYS[1], due, lane .. ' 0 ' .. job)
  else
    redis.call('XADD', KEYS[2 + lane], '*', 'j', job)
    entered[1 + lane] = entered[1 + lane] + 1
  end
  return 1
end
