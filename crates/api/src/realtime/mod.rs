//! Pushes: what happens in an inbox reaches every device of its person.
//!
//! A mutation publishes once on the person's live channel, inside the script that made it. The [`Hub`] of each
//! process is subscribed to the channels of the people connected to it and hands each message to the `shard` that owns the
//! person: a thread that makes the frame once and writes it to all of their connections.
//!
//! - `session` welcomes a connection: it joins the hub, then reads a snapshot. `socket` and `http` are the ways to come.
//! - `present` is a person with their connections, `progress` how far they were told, `told` a frame, `outlet` where it goes.
//!
//! What a connection sends is in the order of the inbox's revisions and without a gap: a message that is older
//! than what was sent is dropped, and where one is missing (the Redis connection was lost) it is caught up with
//! from the cursor. Each frame with a count carries the absolute unread. Answers to a device's own changes go the
//! same way, so that they cannot overtake.

pub mod frame;
mod http;
mod hub;
mod manners;
mod outlet;
mod present;
mod progress;
mod pulse;
mod receipts;
mod session;
mod shard;
mod socket;
mod told;

pub(crate) use http::{events, poll};
pub use hub::{Hub, HubError, HubParts};
pub use manners::Manners;
pub(crate) use manners::is_own;
pub use receipts::Receipts;
pub(crate) use socket::upgrade;
