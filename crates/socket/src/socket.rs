//! A connection: what comes in, and how it ends.

use std::{cell::RefCell, collections::VecDeque, future::poll_fn, io, net::Shutdown, sync::Arc, task::Poll, time::Duration};

use socket2::SockRef;
use tokio::{
    net::TcpStream,
    task::coop::consume_budget,
    time::{Instant, timeout_at},
};

use crate::{
    Frame, Rate, Sender,
    frame::CloseCode,
    message::{Assembler, Message, Violation},
    outbox::Shared,
    pace::Pace,
};

/// How long a farewell may take: to be written, and to be answered.
const FAREWELL: Duration = Duration::from_secs(2);

thread_local! {
    /// What every connection of a thread reads into.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// Bounds of a connection; sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The largest message that is taken in.
    pub max_message: usize,
    /// How much may wait to be written, beyond what the kernel has taken, before nothing more is taken.
    pub max_waiting: usize,
    /// How much the kernel takes: the less, the sooner somebody shows who does not read.
    pub send_buffer: usize,
    /// How many frames may come; `None`: as many as the other side sends.
    pub rate: Option<Rate>,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_message: 16 * 1024, max_waiting: 32 * 1024, send_buffer: 16 * 1024, rate: None }
    }
}

/// What comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A sign of life: a ping (answered already), or the answer to one.
    Alive,
}

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum Closed {
    /// The other side said farewell, and was answered.
    #[error("closed by the other side")]
    ByPeer {
        /// Its code, if it gave one.
        code: Option<CloseCode>,
        /// Its reason; may be empty.
        reason: String,
    },
    /// We ended it, by [`Sender::close`].
    #[error("closed by us")]
    ByUs,
    /// The other side did what the protocol forbids, and was told so.
    #[error("closed, because the other side sent {0}")]
    Violation(#[from] Violation),
    /// The connection is gone, without a word.
    #[error("the connection is gone")]
    Gone(#[from] io::Error),
}

/// A socket between two runtimes.
pub struct Detached {
    stream: std::net::TcpStream,
    max_waiting: usize,
    assembler: Assembler,
    told: VecDeque<Message>,
}

impl Detached {
    /// Goes on in the runtime of the caller.
    pub fn attach(self) -> io::Result<Socket> {
        let mut socket = Socket::on(TcpStream::from_std(self.stream)?, self.max_waiting, self.assembler);
        socket.told = self.told;
        Ok(socket)
    }
}

/// A WebSocket connection: its reading half, and whatever has to wait for the stream.
pub struct Socket {
    shared: Arc<Shared>,
    assembler: Assembler,
    told: VecDeque<Message>,
    violation: Option<Violation>,
    /// The farewell was begun. In a box, which a connection that lives does not carry along.
    ending: Option<Box<Ending>>,
}

/// How a connection ends, and until when that may take.
struct Ending {
    closed: Closed,
    end: Instant,
}

impl Socket {
    /// A socket on a stream of which `read` was read already.
    pub(crate) fn new(stream: TcpStream, read: &[u8], options: Options) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_send_buffer_size(options.send_buffer)?;
        let assembler = Assembler::new(options.max_message, options.rate.map(Pace::new));
        let mut socket = Self::on(stream, options.max_waiting, assembler);
        socket.take(&mut read.to_vec());
        Ok(socket)
    }

    fn on(stream: TcpStream, max_waiting: usize, assembler: Assembler) -> Self {
        let shared = Arc::new(Shared::new(stream, max_waiting));
        Self { shared, assembler, told: VecDeque::new(), violation: None, ending: None }
    }

    /// Takes the socket off its runtime, so that another one may go on with it. Fails if it ends, if something waits to be
    /// written, or if a [`Sender`] is left.
    pub fn detach(self) -> io::Result<Detached> {
        let Self { shared, assembler, told, violation, ending } = self;
        let shared = Arc::into_inner(shared).ok_or_else(|| io::Error::other("a sender is left"))?;
        if violation.is_some() || ending.is_some() || shared.is_closed() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let (stream, max_waiting) = shared.into_idle()?;
        Ok(Detached { stream, max_waiting, assembler, told })
    }

    /// A handle that writes.
    pub fn sender(&self) -> Sender {
        Sender(self.shared.clone())
    }

    /// What comes next. It has to be awaited all the time: it also writes what had to wait. May be cancelled and called again.
    pub async fn recv(&mut self) -> Result<Incoming, Closed> {
        loop {
            if let Some(end) = self.ending.as_ref().map(|ending| ending.end) {
                Box::pin(self.farewell(end)).await; // in a box, as above
                return Err(self
                    .ending
                    .take()
                    .map_or_else(|| Closed::Gone(io::ErrorKind::NotConnected.into()), |ending| ending.closed));
            }
            // One read brings thousands of small frames: between them others of the thread have their turn.
            consume_budget().await;
            let next = self.told.pop_front();
            if self.told.is_empty() {
                self.told = VecDeque::new(); // one who is silent from now on keeps nothing of what they said
            }
            match next {
                Some(Message::Text(text)) => return Ok(Incoming::Text(text)),
                Some(Message::Binary(bytes)) => return Ok(Incoming::Binary(bytes)),
                Some(Message::Pong) => return Ok(Incoming::Alive),
                Some(Message::Ping(body)) => {
                    let _ = self.sender().send(Frame::pong(&body)); // one who does not read asks in vain
                    return Ok(Incoming::Alive);
                }
                Some(Message::Close(code, reason)) => {
                    self.shared.close(&Frame::close(code, ""));
                    self.end(Closed::ByPeer { code, reason });
                    continue;
                }
                None => {}
            }
            if let Some(violation) = self.violation.take() {
                self.shared.close(&Frame::close(Some(violation.code()), &violation.to_string()));
                self.end(violation.into());
                continue;
            }
            let is_readable = poll_fn(|cx| match self.shared.poll_written(cx)? {
                Poll::Ready(()) => Poll::Ready(Ok::<_, io::Error>(false)),
                Poll::Pending => self.shared.stream.poll_read_ready(cx).map_ok(|()| true),
            });
            if is_readable.await? {
                self.read()?;
            } else {
                self.end(Closed::ByUs);
            }
        }
    }

    fn end(&mut self, closed: Closed) {
        self.ending = Some(Box::new(Ending { closed, end: Instant::now() + FAREWELL }));
    }

    /// Writes what has to wait, while nothing is read: for as long as the caller is busy with what it was told.
    pub async fn write_waiting(&mut self) -> io::Error {
        poll_fn(|cx| {
            let written = match self.shared.poll_written(cx) {
                Poll::Ready(Ok(())) => self.shared.poll_flush(cx), // the last frame, too
                written => written,
            };
            match written {
                Poll::Ready(Err(error)) => Poll::Ready(error),
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    fn read(&mut self) -> io::Result<()> {
        BUFFER.with_borrow_mut(|buffer| match self.shared.stream.try_read(buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                self.take(&mut buffer[..read]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        })
    }

    fn take(&mut self, bytes: &mut [u8]) {
        self.violation = self.assembler.take(bytes, &mut self.told).err();
    }

    /// Ends the connection with a code and a reason, after what waits.
    pub async fn close(self, code: CloseCode, reason: &str) {
        self.shared.close(&Frame::close(Some(code), reason));
        self.farewell(Instant::now() + FAREWELL).await;
    }

    /// Writes what waits, then waits for the other side to hang up: hanging up first, with bytes of theirs unread, would make the
    /// kernel take back what they have not read yet.
    async fn farewell(&self, end: Instant) {
        let stream = &self.shared.stream;
        let _ = timeout_at(end, async {
            while self.shared.is_waiting() {
                stream.writable().await?;
                self.shared.flush()?;
            }
            SockRef::from(stream).shutdown(Shutdown::Write)?;
            loop {
                stream.readable().await?;
                let read = BUFFER.with_borrow_mut(|buffer| stream.try_read(buffer));
                match read {
                    Ok(0) => return Ok(()),
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                    _ => {}
                }
            }
        })
        .await;
    }
}
