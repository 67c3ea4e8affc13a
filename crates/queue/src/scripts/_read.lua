-- The head of the scripts that read what they have added, for a worker of the process that asks. `first` is the place in ARGV of group,
-- consumer, and its places for high, normal, bulk. Returns {lane, id, fields} per entry.
local function read(first)
  local entries = {}
  for lane = 1, 3 do
    local count = math.min(entered[lane], tonumber(ARGV[first + 1 + lane]))
    if count > 0 then
      -- Without a group (its worker makes it anew) what was added waits as it always does.
      local reply = redis.pcall('XREADGROUP', 'GROUP', ARGV[first], ARGV[first + 1], 'COUNT', count, 'STREAMS', KEYS[1 + lane], '>')
      for _, entry in ipairs(reply and not reply.err and reply[1][2] or {}) do
        entries[#entries + 1] = { lane - 1, entry[1], entry[2] }
      end
    end
  end
  return entries
end
