//! The server's side of WebSocket connections (RFC 6455), on the bare TCP stream that is left after the handshake.
//!
//! A gateway keeps tens of thousands of connections that are silent nearly all of the time. So a connection has no buffer of
//! its own: reads go into one that its thread lends, and only what is left of a half-read frame is kept. What is sent is
//! written right away by whoever sends it, several frames in one call if several wait, and a body that many receive is shared
//! by all of them. Only what the kernel does not take is queued, up to a bound; who does not read is noticed by that bound.
//!
//! - [`Handshake`] checks a request and gives the 101; [`Upgrading`] then gives the [`Socket`].
//! - [`Socket::recv`] reads messages, answers pings and closes, and refuses what the protocol forbids, and more than a [`Rate`].
//! - [`Sender`] is a cheap handle that writes.
//!
//! Not here: TLS (what is upgraded must be a TCP stream), and compression, which would cost each connection its window.

mod frame;
mod handshake;
mod message;
mod outbox;
mod pace;
mod socket;

pub use frame::{CloseCode, Frame};
pub use handshake::{Handshake, HandshakeError, NotTcp, Upgrading};
pub use message::Violation;
#[cfg(feature = "fuzzing")]
pub use message::fuzzing;
pub use outbox::{Full, Sender};
pub use pace::Rate;
pub use socket::{Closed, Detached, Incoming, Options, Socket};
