//! What happens after the 202: dispatch, deliver, archive, sweep.
//!
//! - **dispatch** resolves the audience of one notification, writes inbox items and enqueues deliveries;
//! - **deliver** (one queue a channel) claims a delivery, renders it, calls a provider, records the outcome;
//! - **archiver** writes facts to SQL in batches and acknowledges after the commit;
//! - **sweep** trims hot inboxes up to what SQL holds.
//!
//! The order is the same everywhere: state, then fact, then acknowledgement. A process that dies in between
//! repeats the step; ids are derived from what they name, so that the repetition changes nothing and readers
//! see one fact.

mod archiver;
mod attachments;
mod deliver;
mod dispatch;
mod facts;
mod fetched;
mod images;
mod jobs;
mod message;
mod notifications;
mod page;
mod profiles;
mod recall;
mod run;
mod suppressed;
mod sweep;
mod test;
mod update;

pub use message::Links;
pub use run::{Parts, Settings, Worker, WorkerError};
