//! HTTP callers that cost little: prepared requests over connections that stay open, answers looked at no more than needed.

use std::{
    io,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
};

/// A request that differs from the next in one number.
#[derive(Clone)]
pub(crate) struct Request {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Request {
    /// A POST of JSON with an idempotency key that is new each time.
    pub(crate) fn post(address: &str, path: &str, key: &str, body: &str) -> Self {
        let before = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nIdempotency-Key: order-",
            body.len()
        );
        Self { before: before.into_bytes(), after: format!("\r\n\r\n{body}").into_bytes() }
    }

    /// The same with other keys than before.
    pub(crate) fn again(&self, time: u8) -> Self {
        let mut again = self.clone();
        again.before.extend_from_slice(format!("{time}-").as_bytes());
        again
    }

    /// The bytes of a POST without such a key.
    pub(crate) fn once(address: &str, path: &str, key: &str, body: &str) -> Vec<u8> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        head.into_bytes()
    }

    fn write(&self, n: u64, out: &mut Vec<u8>) {
        use std::io::Write;
        out.clear();
        out.extend_from_slice(&self.before);
        let _ = write!(out, "{n:012}");
        out.extend_from_slice(&self.after);
    }
}

/// What calling found.
pub(crate) struct Called {
    pub(crate) per_second: f64,
    /// Sorted.
    pub(crate) took: Vec<Duration>,
}

/// Calls over so many connections, each as soon as it has its answer, for so long.
pub(crate) async fn flood(address: &str, request: &Request, connections: usize, long: Duration) -> io::Result<Called> {
    call(address, &vec![request.clone(); connections], Until::Over(long), None).await
}

/// Calls with each of these over a connection of its own, so many times.
pub(crate) async fn all(address: &str, requests: &[Request], times: u64) -> io::Result<Called> {
    call(address, requests, Until::Times(times), None).await
}

/// Calls so many times a second, whatever the answers take.
pub(crate) async fn steady(address: &str, request: &Request, rate: u64, long: Duration) -> io::Result<Called> {
    let connections = 64;
    let every = Duration::from_secs(1) * connections as u32 / rate as u32;
    call(address, &vec![request.clone(); connections], Until::Over(long), Some(every)).await
}

/// Sends these one after another, so many a second, whatever the answers take; `sending` is told of each, by its place.
pub(crate) async fn paced(
    address: &str,
    requests: impl Iterator<Item = Vec<u8>>,
    rate: u64,
    sending: impl Fn(usize),
) -> io::Result<()> {
    let mut ticks = ticks(Duration::from_secs(1) / rate as u32);
    let (back, mut free) = mpsc::unbounded_channel();
    let mut callers = JoinSet::new();
    for (k, request) in requests.enumerate() {
        ticks.recv().await;
        let mut stream = match free.try_recv() {
            Ok(stream) => stream,
            Err(_) => TcpStream::connect(address).await?,
        };
        stream.set_nodelay(true)?;
        sending(k);
        stream.write_all(&request).await?;
        let back = back.clone();
        callers.spawn(async move {
            read(&mut stream, &mut Vec::new()).await?;
            let _ = back.send(stream);
            io::Result::Ok(())
        });
        while let Some(called) = callers.try_join_next() {
            called.expect("no panic")?;
        }
    }
    callers.join_all().await.into_iter().collect()
}

/// Ticks at a steady pace. From a thread of its own: the runtime's timers are a millisecond coarse, and would make pairs, and now and then
/// half a dozen, of what is to come one by one.
fn ticks(every: Duration) -> mpsc::UnboundedReceiver<()> {
    let (tick, ticks) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let begun = Instant::now();
        for k in 1.. {
            std::thread::sleep((every * k).saturating_sub(begun.elapsed()));
            if tick.send(()).is_err() {
                return;
            }
        }
    });
    ticks
}

/// When a caller ends.
#[derive(Clone, Copy)]
enum Until {
    Over(Duration),
    Times(u64),
}

async fn call(address: &str, requests: &[Request], until: Until, every: Option<Duration>) -> io::Result<Called> {
    let mut callers = JoinSet::new();
    let begun = Instant::now();
    let connections = requests.len();
    for (i, request) in requests.iter().enumerate() {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request = request.clone();
        callers.spawn(async move {
            let (mut out, mut answer) = (Vec::new(), Vec::new());
            let mut took = Vec::new();
            let mut ticks = every.map(|every| {
                let first = tokio::time::Instant::now() + every * i as u32 / connections as u32;
                tokio::time::interval_at(first, every)
            });
            for k in 0_u64.. {
                if let Some(ticks) = &mut ticks {
                    ticks.tick().await;
                }
                let sent = Instant::now();
                let ends = match until {
                    Until::Over(long) => sent - begun >= long,
                    Until::Times(times) => k >= times,
                };
                if ends {
                    break;
                }
                request.write(k * connections as u64 + i as u64, &mut out);
                stream.write_all(&out).await?;
                read(&mut stream, &mut answer).await?;
                took.push(sent.elapsed());
            }
            io::Result::Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(caller) = callers.join_next().await {
        took.extend(caller.expect("no panic")?);
    }
    let seconds = begun.elapsed().as_secs_f64();
    took.sort_unstable();
    Ok(Called { per_second: took.len() as f64 / seconds, took })
}

/// Reads one answer, which must be no refusal.
async fn read(stream: &mut TcpStream, answer: &mut Vec<u8>) -> io::Result<()> {
    answer.clear();
    let mut whole = None;
    while whole.is_none_or(|whole| answer.len() < whole) {
        if stream.read_buf(answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if whole.is_none() {
            whole = answer.windows(4).position(|w| w == b"\r\n\r\n").map(|end| end + 4 + length(&answer[..end]));
        }
    }
    assert!(answer.starts_with(b"HTTP/1.1 20"), "{}", String::from_utf8_lossy(answer));
    Ok(())
}

fn length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    found.and_then(|(_, value)| value.trim().parse().ok()).expect("an answer tells its length")
}
