//! Mails per second through all of Stentor, beside lettre's own pool that sends the same bytes to the same server.
//!
//! The server is Postfix's `smtp-sink`, which takes a mail and forgets it. Both use as many connections. Stentor's time begins with
//! the API call and ends when the last delivery is `sent`, so that accepting, dispatching, rendering and recording are in it. Each round
//! measures one after the other. `MAILS=100000` for so many.

use std::{
    collections::BTreeMap,
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{MultiPart, SinglePart},
    transport::smtp::{PoolConfig, client::AsyncSmtpConnection, extension::ClientId},
};
use serde_json::{Value, json};
use stentor_testkit::{Postfix, free_port};
use stentor_tests::{Api, PATIENCE};

use crate::{
    measure::{median, rounds, sized},
    report::{Goal, Report},
    stentor::Stentor,
    subject,
};

/// How many connections each has.
const CONNECTIONS: u32 = 32;
/// Recipients of one notification.
const RECIPIENTS: usize = 1_000;
const BODY: &str =
    "Your card ending in 6222 is due for repayment on 5 December 2026: 1,234.50 CNY.\n\nThank you for banking with us.";

/// A mail server that forgets, ended when dropped.
struct Sink {
    child: Child,
    port: u16,
}

impl Sink {
    fn start() -> Self {
        let port = free_port();
        let mut command = Command::new("/usr/sbin/smtp-sink");
        if Postfix::can_run() {
            command.args(["-u", "nobody"]); // it refuses to be root
        }
        let child = command
            .arg(format!("127.0.0.1:{port}"))
            .arg("256")
            .stdout(Stdio::null())
            .spawn()
            .expect("smtp-sink (postfix) starts");
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "smtp-sink does not come up");
            std::thread::sleep(Duration::from_millis(20)); // it tells nobody when it is ready
        }
        Self { child, port }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) async fn run() -> Report {
    let mails = std::env::var("MAILS").ok().and_then(|n| n.parse().ok()).unwrap_or_else(|| sized(20_000, 2_000));
    let mails = mails.next_multiple_of(RECIPIENTS);
    let (mut bare, mut hard, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds() {
        let sink = Sink::start();
        whole.push(stentor(sink.port, mails).await);
        let floor = subject::run("mail-lettre", &[sink.port.to_string(), mails.to_string()]);
        bare.push(subject::figure(&floor, "per_second"));
        hard.push(subject::figure(&floor, "undelayed"));
    }
    let mut report = Report::default();
    let (hard, whole) = (median(hard), median(whole));
    report.ratio("mail", whole, ("lettre's pool", median(bare)), "mails/s", Goal::AtLeast(0.8));
    report.note(format!(
        "{mails} mails over {CONNECTIONS} connections to a server that forgets them (smtp-sink). Stentor's time goes from the API call to the \
         last `sent`: accepting, dispatching, rendering and recording are in it. lettre's pool leaves Nagle's delay on, so that each final dot waits for an acknowledgement; its \
         commands without it, on connections that are kept, make {hard:.0} mails/s: of that we make {:.2}.",
        whole / hard
    ));
    report
}

/// What runs in a process of its own.
pub(crate) async fn subject(args: &[String]) -> Value {
    let (port, mails) = (args[0].parse().expect("a port"), args[1].parse().expect("a number"));
    let per_second = lettre(port, mails).await;
    json!({ "per_second": per_second, "undelayed": undelayed(port, mails).await })
}

/// lettre alone: a pool, and as many tasks as it has connections.
async fn lettre(port: u16, mails: usize) -> f64 {
    let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
        .port(port)
        .pool_config(PoolConfig::new().max_size(CONNECTIONS))
        .build();
    let (transport, next) = (Arc::new(transport), Arc::new(AtomicUsize::new(0)));
    let begun = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (transport, next) = (transport.clone(), next.clone());
        senders.spawn(async move {
            loop {
                let n = next.fetch_add(1, Relaxed);
                if n >= mails {
                    return;
                }
                transport.send(mail(n)).await.expect("the sink takes it");
            }
        });
    }
    senders.join_all().await;
    mails as f64 / begun.elapsed().as_secs_f64()
}

/// The same commands, by as many tasks, each on one connection that sends at once what it is given.
async fn undelayed(port: u16, mails: usize) -> f64 {
    let (next, begun) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let next = next.clone();
        senders.spawn(async move {
            let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("the sink listens");
            stream.set_nodelay(true).expect("a socket");
            let hello = ClientId::default();
            let connection = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello);
            let mut connection = connection.await.expect("the sink greets");
            loop {
                let n = next.fetch_add(1, Relaxed);
                if n >= mails {
                    return;
                }
                let mail = mail(n);
                connection.send(mail.envelope(), &mail.formatted()).await.expect("the sink takes it");
            }
        });
    }
    senders.join_all().await;
    mails as f64 / begun.elapsed().as_secs_f64()
}

fn mail(n: usize) -> Message {
    let parts = MultiPart::alternative()
        .singlepart(SinglePart::plain(BODY.to_owned()))
        .singlepart(SinglePart::html(format!("<p>{BODY}</p>")));
    Message::builder()
        .from("Example Bank <no-reply@example.com>".parse().expect("a sender"))
        .to(format!("u{n}@example.com").parse().expect("a mailbox"))
        .subject("Your card is due")
        .multipart(parts)
        .expect("a mail")
}

/// The whole way: accepted, dispatched, rendered, sent, recorded.
async fn stentor(port: u16, mails: usize) -> f64 {
    let concurrency = CONNECTIONS.to_string();
    let stentor = Stentor::start(&[
        ("STENTOR__EMAIL__PROVIDERS", "main"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__URL", &format!("smtp://127.0.0.1:{port}?tls=none")),
        ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "Example Bank <no-reply@example.com>"),
        ("STENTOR__WORKER__EMAIL_CONCURRENCY", concurrency.as_str()),
    ]);
    let api = &stentor.api;
    let html = format!("<p>{BODY}</p>");
    let notification = |first: usize| {
        let recipient = |n: usize| json!({"id": format!("u{n}"), "email": format!("u{n}@example.com")});
        let recipients: Vec<Value> = (first..first + RECIPIENTS).map(recipient).collect();
        json!({"audience": {"recipients": recipients}, "channels": ["email"],
            "content": {"title": "Your card is due", "email": {"html": html, "text": BODY}}})
    };
    let all: Vec<Value> = (0..mails).step_by(RECIPIENTS).map(notification).collect();
    let begun = Instant::now();
    for one in &all {
        api.send(one).await;
    }
    loop {
        let states = states(api).await;
        let of = |state: &str| states.get(state).copied().unwrap_or_default();
        if of("sent") >= mails {
            break;
        }
        assert!(of("failed") + of("unknown") + of("skipped") == 0, "not every mail was sent: {states:?}");
        assert!(begun.elapsed() < PATIENCE * 10, "not every mail was sent in time: {states:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    mails as f64 / begun.elapsed().as_secs_f64()
}

/// How many mails came to each state.
async fn states(api: &Api) -> BTreeMap<String, usize> {
    let metrics =
        stentor_tests::client().get(format!("{}/metrics", api.url)).send().await.expect("metrics").text().await.expect("a text");
    let of_mail = metrics.lines().filter(|line| line.starts_with("stentor_deliveries_total") && line.contains("\"email\""));
    let read = |line: &str| {
        let state = line.split("state=\"").nth(1)?.split('"').next()?;
        Some((state.to_owned(), line.rsplit(' ').next()?.parse::<f64>().ok()? as usize))
    };
    of_mail.filter_map(read).collect()
}
