//! What is written: at once if the kernel takes it, else queued up to a bound.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::{Buf, Bytes};
use tokio::{net::TcpStream, sync::Notify};

use crate::Frame;

/// The most parts of one write.
const PARTS: usize = 64;

/// So much waits for the socket already that the frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other side does not read")]
pub struct Full;

/// A cheap handle that writes to a socket.
#[derive(Clone)]
pub struct Sender(pub(crate) Arc<Shared>);

/// A stream and what waits for it.
pub(crate) struct Shared {
    pub stream: TcpStream,
    out: Mutex<Outbox>,
    limit: usize,
    /// Wakes the reader, who waits for the stream to take more.
    pub wake: Notify,
}

#[derive(Default)]
struct Outbox {
    parts: VecDeque<Part>,
    bytes: usize,
    /// The frame at the front was begun: it has to be finished, whatever else is dropped.
    begun: bool,
    /// Since when the stream has taken nothing of what waits.
    stalled: Option<Instant>,
    closed: bool,
}

struct Part {
    bytes: Bytes,
    /// It ends its frame.
    last: bool,
}

impl Shared {
    pub(crate) fn new(stream: TcpStream, limit: usize) -> Self {
        Self { stream, out: Mutex::default(), limit, wake: Notify::new() }
    }

    fn out(&self) -> MutexGuard<'_, Outbox> {
        // Nothing panics while it is locked.
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if something waits to be written.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.out().parts.is_empty()
    }

    /// Writes what waits, as far as the stream takes it.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.out().flush(&self.stream)
    }

    /// Queues the last frame, whatever waits; nothing is taken after it.
    pub(crate) fn close(&self, frame: Frame) {
        let mut out = self.out();
        if !out.closed {
            out.push(frame);
            out.closed = true;
        }
    }
}

impl Outbox {
    fn push(&mut self, frame: Frame) {
        self.bytes += frame.len();
        let mut parts = frame.parts().into_iter().filter(|part| !part.is_empty()).peekable();
        while let Some(bytes) = parts.next() {
            self.parts.push_back(Part { bytes, last: parts.peek().is_none() });
        }
    }

    fn clear(&mut self) {
        let keep = if self.begun { self.parts.iter().position(|part| part.last).map_or(0, |at| at + 1) } else { 0 };
        self.parts.truncate(keep);
        self.bytes = self.parts.iter().map(|part| part.bytes.len()).sum();
    }

    fn flush(&mut self, stream: &TcpStream) -> io::Result<()> {
        while !self.parts.is_empty() {
            let slices: Vec<IoSlice<'_>> = self.parts.iter().take(PARTS).map(|part| IoSlice::new(&part.bytes)).collect();
            match stream.try_write_vectored(&slices) {
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stalled.get_or_insert_with(Instant::now);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        self.stalled = None;
        Ok(())
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        self.stalled = None;
        while let Some(part) = self.parts.front_mut() {
            if written < part.bytes.len() {
                part.bytes.advance(written);
                self.begun |= written > 0;
                break;
            }
            written -= part.bytes.len();
            self.begun = !part.last;
            self.parts.pop_front();
        }
        if self.parts.is_empty() {
            self.parts = VecDeque::new(); // a socket that was stalled once keeps nothing of it
        }
    }
}

impl Sender {
    /// Sends a frame.
    pub fn send(&self, frame: Frame) -> Result<(), Full> {
        self.send_all([frame])
    }

    /// Sends frames, in one write with whatever waits. What is not taken by the stream waits; beyond the bound nothing more is
    /// taken, and none of `frames` is.
    pub fn send_all(&self, frames: impl IntoIterator<Item = Frame>) -> Result<(), Full> {
        let frames = frames.into_iter();
        let mut out = self.0.out();
        if out.closed {
            return Ok(()); // it ends: nobody would read it
        }
        if out.bytes >= self.0.limit {
            return Err(Full);
        }
        let idle = out.parts.is_empty();
        for frame in frames {
            out.push(frame);
        }
        // If something waited before, the reader is waiting to write it.
        if idle && out.flush(&self.0.stream).is_err() {
            out.closed = true; // the reader finds out why
        }
        if !out.parts.is_empty() {
            self.0.wake.notify_one();
        }
        Ok(())
    }

    /// Drops what waits, but for the rest of a frame that was begun.
    pub fn clear_waiting(&self) {
        self.0.out().clear();
    }

    /// Drops what waits, but for the rest of a frame that was begun, and lets `frame` wait in its place, whatever the bound.
    pub fn replace_waiting(&self, frame: Frame) {
        let mut out = self.0.out();
        if !out.closed {
            out.clear();
            out.push(frame);
            self.0.wake.notify_one();
        }
    }

    /// Since when the other side has taken nothing of what waits; `None` if nothing does.
    pub fn stalled_since(&self) -> Option<Instant> {
        self.0.out().stalled
    }
}
