//! Many WebSocket clients in one process, which count what they are told and do nothing else. A frame may hold several messages, a line
//! each, as centrifuge's do.

use std::{
    cell::RefCell,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    task::JoinSet,
    time::timeout,
};

/// How many connect at a time.
const AT_ONCE: usize = 64;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(1);

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 256 * 1024]);
}

/// Clients that are connected.
pub(crate) struct Crowd {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

struct Shared {
    messages: AtomicU64,
    bytes: AtomicU64,
    /// At how many messages somebody is to be woken.
    wanted: AtomicU64,
    reached: Notify,
    reached_at: Mutex<Option<Instant>>,
    /// When something was sent to each client by itself, and how long it took.
    sent: Vec<Mutex<Option<Instant>>>,
    took: Mutex<Vec<Duration>>,
}

impl Crowd {
    /// Connects `n` clients to `address`, each by its `path`; each sends the first frame that `hello` gives it, if any, and waits for one frame.
    pub(crate) async fn connect(
        address: &str,
        path: impl Fn(usize) -> String,
        n: usize,
        hello: impl Fn(usize) -> Option<String>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            wanted: AtomicU64::new(u64::MAX),
            reached: Notify::new(),
            reached_at: Mutex::default(),
            sent: (0..n).map(|_| Mutex::default()).collect(),
            took: Mutex::default(),
        });
        let mut clients = JoinSet::new();
        let mut streams = Vec::with_capacity(n);
        for first in (0..n).step_by(AT_ONCE) {
            let some = (first..n.min(first + AT_ONCE)).map(|i| open(address, path(i), hello(i)));
            for opened in futures_util::future::join_all(some).await {
                streams.push(opened?);
            }
        }
        for (i, stream) in streams.into_iter().enumerate() {
            clients.spawn(listen(stream, i, shared.clone()));
        }
        Ok(Self { shared, clients })
    }

    /// How many bytes of payload a message had, on average.
    pub(crate) fn mean_bytes(&self) -> usize {
        (self.shared.bytes.load(Relaxed) / self.shared.messages.load(Relaxed).max(1)) as usize
    }

    /// Says that so many `messages` more will be awaited.
    pub(crate) fn expect(&self, messages: u64) {
        *self.shared.reached_at.lock().expect("no panic") = None;
        self.shared.wanted.store(self.shared.messages.load(Relaxed) + messages, Relaxed);
    }

    /// Waits for them, and tells when the last came.
    pub(crate) async fn reached(&self) -> Instant {
        loop {
            let woken = self.shared.reached.notified();
            if let Some(at) = *self.shared.reached_at.lock().expect("no panic") {
                return at;
            }
            let got = timeout(PATIENCE, woken).await;
            assert!(got.is_ok(), "{} of {} messages came", self.shared.messages.load(Relaxed), self.shared.wanted.load(Relaxed));
        }
    }

    /// Notes that something is sent to client `i` now.
    pub(crate) fn sent(&self, i: usize) {
        *self.shared.sent[i].lock().expect("no panic") = Some(Instant::now());
    }

    /// How long what was [`sent`](Self::sent) took, sorted.
    pub(crate) fn took(&self) -> Vec<Duration> {
        let mut took = std::mem::take(&mut *self.shared.took.lock().expect("no panic"));
        took.sort_unstable();
        took
    }

    /// Disconnects all.
    pub(crate) async fn leave(mut self) {
        self.clients.shutdown().await;
    }
}

async fn open(address: &str, path: String, hello: Option<String>) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let ask = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: stentor.v1\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await?);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    if let Some(hello) = hello {
        // Masked with zeros: the frame is as it is read.
        let mut frame = vec![0x81, 0x80 | 0x7E];
        frame.extend_from_slice(&u16::try_from(hello.len()).expect("a short frame").to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(hello.as_bytes());
        stream.write_all(&frame).await?;
        let mut head = [0; 2];
        stream.read_exact(&mut head).await?;
        assert_eq!(head[0], 0x81, "a welcome is a text");
        let length = match head[1] {
            126 => usize::from(stream.read_u16().await?),
            short => usize::from(short),
        };
        stream.read_exact(&mut vec![0; length]).await?;
    }
    Ok(stream)
}

async fn listen(stream: TcpStream, i: usize, shared: Arc<Shared>) {
    let mut rest: Vec<u8> = Vec::new();
    while stream.readable().await.is_ok() {
        let read = BUFFER.with_borrow_mut(|buffer| match stream.try_read(buffer) {
            Ok(0) => false,
            Ok(n) if rest.is_empty() => {
                let used = shared.count(&buffer[..n], i);
                rest.extend_from_slice(&buffer[used..n]);
                true
            }
            Ok(n) => {
                rest.extend_from_slice(&buffer[..n]);
                let used = shared.count(&rest, i);
                rest.drain(..used);
                true
            }
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        });
        if !read {
            return;
        }
    }
}

impl Shared {
    /// Counts the messages in the whole frames of `bytes`; tells how many bytes these took.
    fn count(&self, bytes: &[u8], i: usize) -> usize {
        let (mut used, mut messages, mut payload) = (0, 0, 0);
        while let [opcode, length, rest @ ..] = &bytes[used..] {
            let (head, length) = match length {
                126 if rest.len() >= 2 => (4, usize::from(u16::from_be_bytes([rest[0], rest[1]]))),
                126 => break,
                short => (2, usize::from(*short)),
            };
            if bytes.len() - used < head + length {
                break;
            }
            if opcode & 0xF == 1 {
                let lines = &bytes[used + head..][..length.saturating_sub(1)];
                messages += 1 + memchr::memchr_iter(b'\n', lines).count() as u64;
                payload += length as u64;
            }
            used += head + length;
        }
        if messages > 0 {
            if let Some(sent) = self.sent[i].lock().expect("no panic").take() {
                self.took.lock().expect("no panic").push(sent.elapsed());
            }
            self.bytes.fetch_add(payload, Relaxed);
            let before = self.messages.fetch_add(messages, Relaxed);
            let wanted = self.wanted.load(Relaxed);
            if before < wanted && before + messages >= wanted {
                *self.reached_at.lock().expect("no panic") = Some(Instant::now());
                self.reached.notify_waiters();
            }
        }
        used
    }
}
