//! The conversation with a mail server.
//!
//! lettre speaks each command; which one comes when is ours to say, for two reasons. Whether a lost connection leaves
//! the mail's fate open depends on how far the conversation had come, which lettre's transport does not tell; and its
//! timeout covers the connect only, so that a deadline is needed around all of it, after which the same question stands.

use std::{
    error::Error as _,
    io, iter,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use lettre::transport::smtp::{
    Error,
    authentication::DEFAULT_MECHANISMS,
    client::AsyncSmtpConnection,
    commands::{Data, Mail, Rcpt, Rset},
    extension::{ClientId, Extension, MailBodyParameter, MailParameter},
};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{
    compose::Composed,
    server::{Server, Tls},
};
use crate::{message::Failure, scrub::scrub};

/// How many connections are kept open for the next mail: as many as a worker process may have in use at once, or those beyond
/// would be made anew for each mail.
const MAX_IDLE: usize = 128;
/// How long. Servers may hang up after 5 minutes (RFC 5321 section 4.5.3.2.7), many do after one.
const MAX_IDLE_TIME: Duration = Duration::from_secs(45);
/// How many mails one connection carries: many servers hang up after some hundred.
const MAX_MAILS: u32 = 100;
/// How long a kept connection has to take the first command.
const CHECK_TIME: Duration = Duration::from_secs(5);
/// How long to wait for each address of the server to accept a connection.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// A mail server and the connections to it that are kept.
pub(super) struct Smtp {
    server: Server,
    hello: ClientId,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: AsyncSmtpConnection,
    mails: u32,
    since: Instant,
    /// The mail before was refused and may have left something behind.
    untidy: bool,
}

/// How far a conversation has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Connecting, greeting, TLS, authentication: nothing is about this mail yet.
    Opening,
    /// Sender, recipient and text are on their way; without the final dot the server must drop them (RFC 5321 section 4.1.1.4).
    Sending,
    /// The final dot is on its way.
    HandedOver,
}

/// Why a conversation ended early.
enum Trouble {
    Smtp(Error),
    Unreachable(io::Error),
    PasswordInTheClear,
    NoSmtpUtf8,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Smtp(error)
    }
}

impl Smtp {
    pub(super) fn new(server: Server) -> Self {
        Self { server, hello: ClientId::default(), idle: Mutex::default() }
    }

    /// Sends one mail to one recipient, within `deadline`.
    pub(super) async fn send(&self, mail: &Composed, deadline: Duration) -> Result<(), Failure> {
        let mut stage = Stage::Opening;
        let result = timeout(deadline, self.converse(mail, &mut stage)).await;
        match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(trouble)) => Err(judge(stage, &trouble, mail)),
            Err(_) if stage == Stage::HandedOver => {
                Err(Failure::unknown(format!("the mail was handed over and not answered within {deadline:?}")))
            }
            Err(_) => Err(Failure::down(format!("the mail server did not answer within {deadline:?}"))),
        }
    }

    /// Connects, encrypts and logs in as for a mail.
    pub(super) async fn probe(&self, deadline: Duration) -> Result<(), Failure> {
        match timeout(deadline, self.connect()).await {
            Ok(Ok(mut connection)) => {
                let _ = timeout(CHECK_TIME, connection.quit()).await;
                Ok(())
            }
            Ok(Err(Trouble::Smtp(error))) => Err(Failure::down(scrub(&said(&error), &[]))),
            Ok(Err(Trouble::Unreachable(error))) => Err(Failure::down(format!("cannot be reached: {}", error.kind()))),
            Ok(Err(Trouble::PasswordInTheClear | Trouble::NoSmtpUtf8)) => {
                Err(Failure::down("does not offer STARTTLS, and the password is not sent without"))
            }
            Err(_) => Err(Failure::down(format!("did not answer within {deadline:?}"))),
        }
    }

    async fn converse(&self, mail: &Composed, stage: &mut Stage) -> Result<(), Trouble> {
        let mut idle = self.begin(mail, stage).await?;
        let result = transact(&mut idle.connection, mail, stage).await;
        // After an answer, even a refusal, the connection is good for the next mail.
        let lost = matches!(&result, Err(Trouble::Smtp(error)) if error.status().is_none());
        if !lost {
            self.keep(Idle { mails: idle.mails + 1, since: Instant::now(), untidy: result.is_err(), ..idle });
        }
        result
    }

    /// A connection on which the mail has begun: a kept one, if it still lives, or a new one. The mail's own first command is the
    /// proof of life, which costs no round trip of its own.
    async fn begin(&self, mail: &Composed, stage: &mut Stage) -> Result<Idle, Trouble> {
        while let Some(mut idle) = self.take() {
            match timeout(CHECK_TIME, tidy_and_begin(&mut idle, mail)).await {
                Ok(Ok(())) => {
                    *stage = Stage::Sending;
                    return Ok(idle);
                }
                Ok(Err(Trouble::Smtp(error))) if error.status().is_none() || is_farewell(&error) => {}
                Ok(Err(refused)) => {
                    *stage = Stage::Sending;
                    self.keep(Idle { since: Instant::now(), untidy: true, ..idle });
                    return Err(refused);
                }
                Err(_) => {}
            }
            // If one is gone, the others most likely are, and each would cost a round trip to find out.
            self.lock().clear();
        }
        let mut idle = Idle { connection: self.connect().await?, mails: 0, since: Instant::now(), untidy: false };
        *stage = Stage::Sending;
        tidy_and_begin(&mut idle, mail).await?;
        Ok(idle)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Trouble> {
        let Server { host, port, tls, credentials } = &self.server;
        let address = (host.as_str(), *port);
        let mut connection = if let Tls::Wrapped(parameters) = tls {
            let wrapped = Some(parameters.clone());
            AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT_TIME), &self.hello, wrapped, None).await?
        } else {
            AsyncSmtpConnection::connect_with_transport(Box::new(dial(address).await?), &self.hello).await?
        };
        match tls {
            Tls::Required(parameters) => connection.starttls(parameters.clone(), &self.hello).await?,
            Tls::Opportunistic(parameters) if connection.can_starttls() => {
                connection.starttls(parameters.clone(), &self.hello).await?;
            }
            Tls::None | Tls::Opportunistic(_) | Tls::Wrapped(_) => {}
        }
        if let Some(credentials) = credentials {
            // "Opportunistic" leaves it to whoever sits on the line whether there is TLS: good enough for mail, not for a password.
            if !connection.is_encrypted() && !matches!(tls, Tls::None) {
                return Err(Trouble::PasswordInTheClear);
            }
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    fn take(&self) -> Option<Idle> {
        let mut idle = self.lock();
        idle.retain(|idle| idle.since.elapsed() < MAX_IDLE_TIME);
        idle.pop()
    }

    fn keep(&self, idle: Idle) {
        let mut all = self.lock();
        if idle.mails < MAX_MAILS && all.len() < MAX_IDLE {
            all.push(idle);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server's first address that answers. Without Nagle's delay: lettre writes the final dot by itself, and it would wait for the
/// server's acknowledgement of the text.
async fn dial(address: (&str, u16)) -> Result<TcpStream, Trouble> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host(address).await.map_err(Trouble::Unreachable)? {
        match timeout(CONNECT_TIME, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(Trouble::Unreachable)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(Trouble::Unreachable(last))
}

/// 421: the server hangs up, on everybody or on a connection that it has had long enough (RFC 5321 section 3.8).
fn is_farewell(error: &Error) -> bool {
    error.status().is_some_and(|code| code.to_string() == "421")
}

/// Ends what a refused mail left behind, and says whose mail this is.
async fn tidy_and_begin(idle: &mut Idle, mail: &Composed) -> Result<(), Trouble> {
    let connection = &mut idle.connection;
    if idle.untidy {
        connection.command(Rset).await?;
        idle.untidy = false;
    }
    let mut parameters = Vec::new();
    // All but such an address is ASCII: parts are encoded, domains are in their DNS form.
    if !mail.bytes.is_ascii() {
        let server = connection.server_info();
        if !(server.supports_feature(Extension::SmtpUtfEight) && server.supports_feature(Extension::EightBitMime)) {
            return Err(Trouble::NoSmtpUtf8);
        }
        parameters = vec![MailParameter::SmtpUtfEight, MailParameter::Body(MailBodyParameter::EightBitMime)];
    }
    connection.command(Mail::new(Some(mail.from.clone()), parameters)).await?;
    Ok(())
}

/// The rest of a mail that has begun.
async fn transact(connection: &mut AsyncSmtpConnection, mail: &Composed, stage: &mut Stage) -> Result<(), Trouble> {
    connection.command(Rcpt::new(mail.to.clone(), Vec::new())).await?;
    connection.command(Data).await?;
    // lettre asks for the next chunk once the one before is written; when there is none it writes the final dot.
    let end = iter::from_fn(|| {
        *stage = Stage::HandedOver;
        None
    });
    connection.message_iter(iter::once(mail.bytes.as_slice()).chain(end)).await?;
    Ok(())
}

/// What the trouble means for the mail.
fn judge(stage: Stage, trouble: &Trouble, mail: &Composed) -> Failure {
    let error = match trouble {
        Trouble::Smtp(error) => error,
        Trouble::Unreachable(error) => return Failure::down(format!("the mail server cannot be reached: {}", error.kind())),
        Trouble::PasswordInTheClear => {
            return Failure::down("the mail server does not offer STARTTLS, and the password is not sent without");
        }
        Trouble::NoSmtpUtf8 => return Failure::permanent("the mail server cannot deliver to addresses beyond ASCII (SMTPUTF8)"),
    };
    let detail = describe(error, mail);
    let code = error.status().map(|code| code.to_string());
    match code.as_deref() {
        // A server that refuses us, or asks for a login first, says nothing about this mail; an operator can mend that.
        Some(code) if code.starts_with('5') && code != "530" && stage != Stage::Opening => Failure::permanent(detail),
        None if stage == Stage::HandedOver => Failure::unknown(format!("the mail was handed over, then: {detail}")),
        // 421 is what a server says that hangs up on everybody (RFC 5321 section 4.2.2).
        Some(code) if stage != Stage::Opening && code != "421" && code != "530" => Failure::transient(detail),
        Some(_) | None => Failure::down(detail),
    }
}

/// `550 5.1.1 no such user`, or what became of the connection; without the recipient's address.
fn describe(error: &Error, mail: &Composed) -> String {
    scrub(&said(error), &[mail.to.as_ref(), mail.to.user()])
}

fn said(error: &Error) -> String {
    let mut text = error.status().map_or_else(String::new, |code| format!("{code} "));
    if text.is_empty() {
        text = format!("{error}"); // lettre's Display tells its cause
    } else if let Some(said) = error.source() {
        text.push_str(&said.to_string());
    }
    text
}
