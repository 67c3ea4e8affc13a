//! An apalis backend on Redis Streams: lanes, leases, a due set, dead letters, job records, an event log.
