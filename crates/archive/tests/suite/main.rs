//! The archive on SQLite and on PostgreSQL, in one executable: linking is what its build takes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod apps;
mod connection;
mod console;
mod events;
mod inboxes;
mod notifications;
mod order;
mod recipients;
mod support;
mod suppressions;
mod templates;
mod timeline;
mod vanished;
