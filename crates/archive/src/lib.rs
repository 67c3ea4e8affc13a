//! The SQL side through sea-orm: repositories, and the batch writer of events.
