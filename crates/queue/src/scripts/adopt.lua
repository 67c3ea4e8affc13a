-- Gives a job of a bundle a record of its own, unless it has one.
-- KEYS record, bundle. ARGV own, expires, body (see _adopt.lua). Returns 1 if it had none.
return adopt(KEYS[1], KEYS[2], unpack(ARGV))
