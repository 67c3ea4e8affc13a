//! An [apalis](https://docs.rs/apalis) backend on Redis Streams, and what a queue that loses nothing needs besides.
//!
//! # Words
//!
//! A **job** has an id, a record and a payload; its **entry** stands on one of three **lanes**, or waits in the **due set**. A
//! **lease** is one delivery of an entry to one worker: the entry's idle time on Redis's clock, renewed while the worker
//! lives. **Dead letters** are jobs whose attempts are exhausted or that no worker survives. A **bundle** holds jobs that were added
//! together, under one record and one entry.
//!
//! # Promised
//!
//! - **At least once.** What was added is delivered until a handler has ended and its outcome is recorded.
//! - **Fenced.** Whoever lost a lease ends, renews, moves nothing: each script compares owner and delivery count first.
//! - **Added once.** A job whose record exists is not added again; [`Queue::submit`] does the same by idempotency key.
//! - **A job that kills its process is buried** after three counted starts without an end; its neighbours are not.
//! - **Redis trouble is waited out** inside: it is never a worker error and cancels no running handler.
//! - **Nothing waits in a slot**: retries, schedules and holds stand in the due set.
//! - On stop, what was fetched and not started goes back and runs elsewhere.
//!
//! # Not promised
//!
//! Order, and that a handler runs only once: it may run twice after a crash. [`Lease::claim`] and
//! [`Lease::begin_sending`] tell what went before.
//!
//! All keys of a queue share a hash tag; the scripts under `src/scripts` document KEYS, ARGV and results. The crate
//! knows nothing of notifications.

mod backend;
mod batch;
mod bundle;
mod dead;
mod error;
mod events;
mod keys;
mod lane;
mod lease;
mod marks;
mod outcome;
mod pace;
mod queue;
mod reports;
mod scripts;
mod submit;
mod tail;

pub use backend::{StreamsBackend, WorkerConfig};
pub use batch::Batch;
pub use dead::DeadLetter;
pub use error::QueueError;
pub use events::{EventLog, EventReader};
pub use lane::Lane;
pub use lease::{Begin, Claim, EXPIRED, Lease, Sending};
pub use outcome::Outcome;
pub use pace::Turn;
pub use queue::{Depth, JobRecord, NewJob, Oldest, Queue, Withdrawn};
pub use submit::{Idempotency, Submitted};
pub use tail::EventTail;

/// A time as Redis is told it, in ms.
fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
