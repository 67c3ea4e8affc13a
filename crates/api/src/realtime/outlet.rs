//! Where a connection's frames go: to a WebSocket, or to whoever reads them over plain HTTP.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use stentor_socket::{Frame, Sender};
use tokio::sync::Notify;

use super::{
    frame::{CloseCode, ServerFrame},
    told::{Told, reference_of},
};

/// How much may wait for a stream, in bytes, as for a WebSocket.
const MAX_WAITING: usize = 32 * 1024;
/// How many answers may be dropped of one who goes on asking and reads none of them.
const MAX_DROPPED: usize = 200;

/// Where a connection's frames go.
pub(crate) enum Outlet {
    Socket(Sender),
    Stream(Stream),
}

impl Outlet {
    /// Reads a little of what a push reads, so that the processor has it at hand by then.
    pub(crate) fn prefetch(&self) -> usize {
        match self {
            Self::Socket(sender) => sender.prefetch(),
            Self::Stream(_) => 0,
        }
    }

    /// Sends frames. Of one who reads too slowly what waits is dropped, and `resync` is told instead, and of each answer among it that
    /// it will not come: who asked would wait for it for ever.
    ///
    /// `written` is what all of `told` are as frames, once somebody has written them: the same for all sockets of a person.
    pub(crate) fn send(&self, told: &[Told], written: &mut Vec<u8>, resync: impl FnOnce() -> Told) {
        let taken = match self {
            Self::Socket(sender) => {
                if written.is_empty() {
                    for one in told {
                        one.write(written);
                    }
                }
                sender.send_all(written, || told.iter().map(Told::frame)).is_ok()
            }
            Self::Stream(stream) => stream.send(told),
        };
        if !taken {
            match self {
                Self::Socket(sender) => {
                    let mut dropped = Vec::new();
                    sender.replace_waiting(|parts| {
                        dropped.extend(parts.filter_map(|part| reference_of(&part)));
                        dropped.extend(told.iter().filter_map(Told::reference));
                        let too_slow = dropped.iter().take(MAX_DROPPED).map(|reference| too_slow(reference));
                        std::iter::once(resync()).chain(too_slow).map(|told| told.frame()).collect()
                    });
                    if dropped.len() > MAX_DROPPED {
                        self.give_up("answers are not read");
                    }
                }
                Self::Stream(stream) => stream.replace_waiting(resync()),
            }
            metrics::counter!("stentor_sockets_too_slow_total").increment(1);
        }
    }

    /// Sends one frame that nobody shares.
    pub(crate) fn send_one(&self, told: &Told, resync: impl FnOnce() -> Told) {
        self.send(std::slice::from_ref(told), &mut Vec::new(), resync);
    }

    /// Asks whether somebody is there. A stream shows by itself that it is alive.
    pub(crate) fn ping(&self) {
        if let Self::Socket(sender) = self {
            let _ = sender.send(Frame::ping()); // one who does not read is found out otherwise
        }
    }

    /// True if it is asked whether somebody is there.
    pub(crate) fn is_asked(&self) -> bool {
        matches!(self, Self::Socket(_))
    }

    /// Ends the connection: with a code, and with a frame that says when to come back.
    pub(crate) fn end(&self, code: CloseCode, reason: &str, bye: Option<&ServerFrame>) {
        match self {
            Self::Socket(sender) => {
                // That it comes back in a moment is in the frame; the other codes say it all.
                if let (CloseCode::Restart, Some(bye)) = (code, bye) {
                    let _ = sender.send(Told::whole(bye).frame());
                }
                sender.close(code as u16, reason);
            }
            Self::Stream(stream) => stream.end(bye.map(Told::whole)),
        }
    }

    /// Ends the connection of one who reads nothing.
    pub(crate) fn give_up(&self, reason: &str) {
        if let Self::Socket(sender) = self {
            sender.clear_waiting();
        }
        self.end(CloseCode::TooSlow, reason, None);
    }

    /// Since when the other side has taken nothing of what waits.
    pub(crate) fn stalled_since(&self) -> Option<Instant> {
        match self {
            Self::Socket(sender) => sender.stalled_since(),
            Self::Stream(stream) => stream.queue().since,
        }
    }
}

/// Told in place of an answer that was dropped. What was asked for may have been done.
fn too_slow(reference: &str) -> Told {
    let message = "the answer was dropped, since too much waited to be read; ask again".to_owned();
    Told::whole(&ServerFrame::Error { reference: Some(reference.to_owned()), code: "too_slow".to_owned(), message })
}

/// A queue of frames that somebody reads over plain HTTP.
#[derive(Clone, Default)]
pub(crate) struct Stream(Arc<(Mutex<Queue>, Notify)>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Told>,
    bytes: usize,
    /// Since when something waits of which nothing is taken.
    since: Option<Instant>,
    ended: bool,
}

impl Stream {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it is locked.
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, told: &[Told]) -> bool {
        let mut queue = self.queue();
        if queue.ended {
            return true;
        }
        if queue.bytes >= MAX_WAITING {
            return false;
        }
        queue.bytes += told.iter().map(Told::len).sum::<usize>();
        queue.waiting.extend(told.iter().cloned());
        queue.since.get_or_insert_with(Instant::now);
        self.0.1.notify_one();
        true
    }

    fn replace_waiting(&self, told: Told) {
        let mut queue = self.queue();
        queue.bytes = told.len();
        queue.waiting = VecDeque::from([told]);
        self.0.1.notify_one();
    }

    fn end(&self, last: Option<Told>) {
        let mut queue = self.queue();
        queue.ended = true;
        queue.waiting.extend(last);
        self.0.1.notify_one();
    }

    /// The next frame; `None` once the connection has ended.
    pub(crate) async fn next(&self) -> Option<Told> {
        loop {
            {
                let mut queue = self.queue();
                if let Some(told) = queue.waiting.pop_front() {
                    queue.bytes -= told.len().min(queue.bytes);
                    queue.since = (!queue.waiting.is_empty()).then(Instant::now);
                    return Some(told);
                }
                if queue.ended {
                    return None;
                }
            }
            self.0.1.notified().await;
        }
    }

    /// The next frame, if one waits.
    pub(crate) fn try_next(&self) -> Option<Told> {
        self.queue().waiting.pop_front()
    }
}
