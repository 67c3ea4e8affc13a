//! A proxy before a server that spoils the conversation.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

/// What the proxy does to a connection; one that stands keeps the fault that it was made under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Closes it at once.
    Refuse,
    /// Once the client has sent this, waits for the server's answer and breaks the connection instead of passing it on.
    LoseAnswerTo(&'static [u8]),
    /// Passes the server's answers on byte by byte, one in this time.
    Trickle(Duration),
}

/// A TCP proxy on 127.0.0.1 in threads of its own, ended when dropped.
#[derive(Debug)]
pub struct FaultProxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: u16,
    fault: Mutex<Fault>,
    lost: AtomicUsize,
    /// How many connections were made, and how many of them, from the first on, are a black hole.
    made: AtomicUsize,
    swallowed: AtomicUsize,
    ended: AtomicBool,
}

impl FaultProxy {
    /// A proxy before the server on `port` of 127.0.0.1, at first without a fault.
    pub fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback has a free port");
        let shared = Arc::new(Shared {
            server: port,
            fault: Mutex::new(Fault::None),
            lost: AtomicUsize::new(0),
            made: AtomicUsize::new(0),
            swallowed: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let accepting = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.ended.load(Relaxed) {
                    return;
                }
                let shared = accepting.clone();
                thread::spawn(move || drop(shared.serve(client))); // an error is the connection's end
            }
        });
        Self { port, shared }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What is done to the connections that come from now on.
    pub fn set(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// From now on swallows whatever is said on the connections that stand, in both directions, and closes none of them: as when a
    /// host is lost, or what stands between forgets a connection. Those that come later are as before.
    pub fn swallow(&self) {
        self.shared.swallowed.store(self.made(), Relaxed);
    }

    /// How many connections were made.
    pub fn made(&self) -> usize {
        self.shared.made.load(Relaxed)
    }

    /// How many answers were lost so far.
    pub fn lost_answers(&self) -> usize {
        self.shared.lost.load(Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Relaxed);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)); // wakes the accepting thread
    }
}

impl Shared {
    fn swallows(&self, number: usize) -> bool {
        number < self.swallowed.load(Relaxed)
    }

    fn serve(self: &Arc<Self>, mut client: TcpStream) -> std::io::Result<()> {
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if fault == Fault::Refuse {
            return Ok(());
        }
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.server))?;
        let number = self.made.fetch_add(1, Relaxed);
        let asked = Arc::new(AtomicBool::new(false));
        let (mut from_client, mut to_server, seen) = (client.try_clone()?, server.try_clone()?, asked.clone());
        let shared = self.clone();
        let passing = thread::spawn(move || {
            let (mut buffer, mut tail) = ([0; 16 * 1024], Vec::new());
            while let Ok(n @ 1..) = from_client.read(&mut buffer) {
                if shared.swallows(number) {
                    continue;
                }
                if let Fault::LoseAnswerTo(what) = fault {
                    tail.extend_from_slice(&buffer[..n]);
                    // Before it is passed on, so that the answer cannot be faster.
                    seen.fetch_or(tail.windows(what.len()).any(|part| part == what), Relaxed);
                    tail.drain(..tail.len().saturating_sub(what.len()));
                }
                if to_server.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
            if !shared.swallows(number) {
                let _ = to_server.shutdown(Shutdown::Write);
            }
        });
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = server.read(&mut buffer);
            if self.swallows(number) {
                if matches!(read, Ok(1..)) {
                    continue;
                }
                // Its end is swallowed as well: the client has a connection for as long as it likes.
                let _ = passing.join();
                return Ok(());
            }
            let n = read?;
            if n == 0 {
                return client.shutdown(Shutdown::Write);
            }
            if asked.load(Relaxed) {
                self.lost.fetch_add(1, Relaxed);
                client.shutdown(Shutdown::Both)?;
                return server.shutdown(Shutdown::Both);
            }
            match fault {
                Fault::Trickle(pause) => {
                    for byte in &buffer[..n] {
                        thread::sleep(pause);
                        client.write_all(std::slice::from_ref(byte))?;
                    }
                }
                _ => client.write_all(&buffer[..n])?,
            }
        }
    }
}
