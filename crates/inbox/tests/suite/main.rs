//! Inboxes on a real redis-server, in one executable: linking is what its build takes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ahead;
mod cold;
mod content;
mod filing;
mod hot;
mod live;
mod lost_tail;
mod model;
mod old_form;
mod profiles;
mod support;
mod suppressions;
mod timeline;
mod writing;
