-- Counts a start of a suspect, on a full Redis too: otherwise it would never run. KEYS starts. ARGV stream and entry. Returns the count.
return redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
