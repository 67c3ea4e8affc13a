//! Pushes: what happens in an inbox reaches every device of its person.
//!
//! A mutation publishes once on the person's live channel, inside the script that made it. The [`Hub`] of each
//! process is subscribed to the channels of the people connected to it and hands each message to their
//! connections; a connection (`socket`) turns messages into frames.
//!
//! What a connection sends is in the order of the inbox's revisions and without a gap: a message that is older
//! than what was sent is dropped, and where one is missing (the Redis connection was lost, or the connection
//! was too slow to take it) the connection catches up from its own cursor. Each frame with a count carries the
//! absolute unread. Answers to a device's own changes go the same way, so that they cannot overtake.

pub mod frame;
mod http;
mod hub;
mod manners;
mod outlet;
mod present;
mod progress;
mod receipts;
mod session;
mod shard;
mod socket;
mod told;

pub(crate) use http::{events, poll};
pub use hub::{Hub, HubParts};
pub use manners::Manners;
pub use receipts::Receipts;
pub(crate) use socket::upgrade;
