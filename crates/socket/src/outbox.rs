//! What is written: at once if the kernel takes it, else queued up to a bound.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    os::fd::AsRawFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::{Buf, Bytes};
use rustix::{io::Errno, net::SendFlags};
use tokio::net::TcpStream;

use crate::{CloseCode, Frame};

/// The most parts of what waited in one write.
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
    /// Why nothing can be written any more, until the reader was told.
    broken: Option<io::Error>,
    /// Wakes the reader, who also writes what waits.
    reader: Option<Waker>,
}

struct Part {
    bytes: Bytes,
    /// It ends its frame.
    last: bool,
}

impl Shared {
    pub(crate) fn new(stream: TcpStream, limit: usize) -> Self {
        Self { stream, out: Mutex::default(), limit }
    }

    /// The stream by itself, without a runtime, if nothing waits for it.
    pub(crate) fn into_idle(self) -> io::Result<(std::net::TcpStream, usize)> {
        if self.is_waiting() {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "something waits to be written"));
        }
        Ok((self.stream.into_std()?, self.limit))
    }

    fn out(&self) -> MutexGuard<'_, Outbox> {
        // Nothing panics while it is locked.
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if the last frame was queued or written.
    pub(crate) fn is_closed(&self) -> bool {
        self.out().closed
    }

    /// True if something waits to be written.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.out().parts.is_empty()
    }

    /// Writes what waits, as far as the stream takes it.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.out().flush(&self.stream)
    }

    /// Writes what waits; ends when nothing does.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.is_waiting() {
            std::task::ready!(self.stream.poll_write_ready(cx))?;
            self.flush()?;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes whatever waits, now and later, until the last frame is queued. Two futures, for the stream and for whoever sends, would
    /// do the same, and each would be larger than all that a silent connection keeps for it.
    pub(crate) fn poll_written(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        {
            let mut out = self.out();
            if let Some(error) = out.broken.take() {
                return Poll::Ready(Err(error));
            }
            if out.closed {
                return Poll::Ready(Ok(()));
            }
            if !out.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
                out.reader = Some(cx.waker().clone());
            }
        }
        match self.poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    /// Queues the last frame, whatever waits; nothing is taken after it.
    pub(crate) fn close(&self, frame: &Frame) {
        let mut out = self.out();
        if !out.closed {
            out.push(frame, 0);
            out.closed = true;
        }
    }
}

impl Outbox {
    /// Queues what of a frame was not written yet.
    fn push(&mut self, frame: &Frame, written: usize) {
        self.bytes += frame.len() - written;
        let mut parts = frame.parts(written).peekable();
        while let Some(bytes) = parts.next() {
            self.parts.push_back(Part { bytes, last: parts.peek().is_none() });
        }
        self.begun |= written > 0;
    }

    /// Writes frames that are at hand as the bytes they are while nothing waits, and queues what the stream does not take.
    fn write<F: IntoIterator<Item = Frame>>(
        &mut self,
        bytes: &[u8],
        frames: impl FnOnce() -> F,
        stream: &TcpStream,
    ) -> io::Result<()> {
        let mut written = match try_write(bytes, stream) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        if written == bytes.len() {
            return Ok(());
        }
        for frame in frames() {
            let of_it = written.min(frame.len());
            if of_it < frame.len() {
                self.push(&frame, of_it);
            }
            written -= of_it;
        }
        self.stalled = Some(Instant::now());
        Ok(())
    }

    /// Something waits now, or the connection is to end.
    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Drops what waits, but for the rest of a frame that was begun.
    fn clear(&mut self) -> VecDeque<Part> {
        let keep = if self.begun { self.parts.iter().position(|part| part.last).map_or(0, |at| at + 1) } else { 0 };
        let dropped = self.parts.split_off(keep);
        self.bytes = self.parts.iter().map(|part| part.bytes.len()).sum();
        dropped
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

/// Writes past tokio, whose record of the stream is one more place in memory to be fetched: a push goes to ten thousand streams whose
/// records nobody has touched lately. That the stream took nothing is told to tokio by the call after.
fn try_write(bytes: &[u8], stream: &TcpStream) -> io::Result<usize> {
    match rustix::net::send(stream, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Err(Errno::AGAIN | Errno::INTR) => stream.try_write(bytes),
        sent => Ok(sent?),
    }
}

impl Sender {
    /// Reads a little of what [`send_all`](Self::send_all) reads, so that the processor has it at hand by then. Worth it before
    /// a walk over many, of which nobody has touched one lately.
    pub fn prefetch(&self) -> usize {
        let Shared { stream, out, limit, .. } = &*self.0;
        stream.as_raw_fd() as usize ^ usize::from(out.is_poisoned()) ^ limit
    }

    /// Sends a frame.
    pub fn send(&self, frame: Frame) -> Result<(), Full> {
        self.send_all(&frame.to_bytes(), || [frame])
    }

    /// Sends frames, in one write with whatever waits: `bytes` is what they are one behind the other, in one piece, which the kernel takes
    /// faster than several, by more than the copy costs. They are made only if they have to wait: what the stream does not take does.
    /// Beyond the bound nothing more is taken, and none of them is.
    pub fn send_all<F: IntoIterator<Item = Frame>>(&self, bytes: &[u8], frames: impl FnOnce() -> F) -> Result<(), Full> {
        let mut out = self.0.out();
        if out.closed {
            return Ok(()); // it ends: nobody would read it
        }
        if out.bytes >= self.0.limit {
            return Err(Full);
        }
        if !out.parts.is_empty() {
            // The reader is waiting to write what waits.
            for frame in frames() {
                out.push(&frame, 0);
            }
            return Ok(());
        }
        if let Err(error) = out.write(bytes, frames, &self.0.stream) {
            (out.closed, out.broken) = (true, Some(error));
        }
        if out.closed || !out.parts.is_empty() {
            out.wake_reader();
        }
        Ok(())
    }

    /// Ends the connection with a code and a reason, after what waits. The reader is told ([`Closed::ByUs`](crate::Closed)).
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.0.close(&Frame::close(Some(code), reason));
        self.0.out().wake_reader();
    }

    /// Drops what waits, but for the rest of a frame that was begun.
    pub fn clear_waiting(&self) {
        self.0.out().clear();
    }

    /// Drops what waits, but for the rest of a frame that was begun, and lets other frames wait in its place, whatever the bound.
    /// `replace` is given the parts of the frames that were dropped, in their order: headers, bodies and tails.
    pub fn replace_waiting(&self, replace: impl FnOnce(&mut dyn Iterator<Item = Bytes>) -> Vec<Frame>) {
        let mut out = self.0.out();
        if !out.closed {
            let dropped = out.clear();
            for frame in replace(&mut dropped.into_iter().map(|part| part.bytes)) {
                out.push(&frame, 0);
            }
            out.wake_reader();
        }
    }

    /// Since when the other side has taken nothing of what waits; `None` if nothing does.
    pub fn stalled_since(&self) -> Option<Instant> {
        self.0.out().stalled
    }
}
