//! A conversation with a mail server that brings bounces: as much of SMTP (RFC 5321) and LMTP (RFC 2033) as that needs.
//!
//! Only addresses that carry a token of ours are taken. A line ends with CR LF and nothing else, a text with CR LF dot CR LF and
//! nothing else, so that no two servers read the same bytes as different mails.

use std::{io, time::Duration};

use stentor_channels::read_report;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::state::ApiState;

/// The longest command, in bytes (RFC 5321 section 4.5.3.1.4 asks for 512, extensions for more).
const MAX_LINE: usize = 2_048;
/// The most recipients of one mail.
const MAX_RECIPIENTS: usize = 100;
/// The most commands that are not understood before the conversation ends.
const MAX_ERRORS: u32 = 20;
/// How long the next line is waited for (RFC 5321 section 4.5.3.2.7).
const PATIENCE: Duration = Duration::from_mins(5);
/// How long one mail may take.
const MAIL_TIME: Duration = Duration::from_mins(10);
/// How many commands bring no mail before the conversation ends: nobody keeps a place by small talk.
const MAX_COMMANDS: u32 = 500;

/// A line, or why there is none.
enum Line {
    Whole(Vec<u8>),
    TooLong,
    End,
}

struct Session<'a> {
    stream: BufReader<TcpStream>,
    state: &'a ApiState,
    max_bytes: usize,
    lmtp: bool,
    sender: bool,
    recipients: Vec<String>,
    errors: u32,
    /// Since the last mail.
    commands: u32,
}

/// Holds a conversation to its end.
pub(super) async fn hold(stream: TcpStream, state: &ApiState, max_bytes: usize, stop: &CancellationToken) -> io::Result<()> {
    let stream = BufReader::new(stream);
    let mut session =
        Session { stream, state, max_bytes, lmtp: false, sender: false, recipients: Vec::new(), errors: 0, commands: 0 };
    session.say("220 stentor ESMTP, for bounces only").await?;
    loop {
        let line = tokio::select! {
            line = timeout(PATIENCE, session.line(MAX_LINE)) => line,
            () = stop.cancelled() => return session.say("421 4.3.2 going down").await,
        };
        match line {
            Err(_) => return session.say("421 4.4.2 you have said nothing for 5 minutes").await,
            Ok(Ok(Line::Whole(line))) => {
                session.commands += 1;
                // Also in the midst of a mail: who brings it slowly does not hold up the end of the process, and brings it again.
                let obeyed = tokio::select! {
                    obeyed = session.obey(&line) => Some(obeyed?),
                    () = stop.cancelled() => None,
                };
                match obeyed {
                    Some(true) => {}
                    Some(false) => return Ok(()),
                    None => return session.say("421 4.3.2 going down").await,
                }
            }
            Ok(Ok(Line::TooLong)) => session.complain("500 5.5.2 that line is too long").await?,
            Ok(Ok(Line::End)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
        }
        if session.errors > MAX_ERRORS {
            return session.say("421 4.7.0 too many errors").await;
        }
        if session.commands > MAX_COMMANDS {
            return session.say("421 4.7.0 too many commands without a mail").await;
        }
    }
}

impl Session<'_> {
    /// Does what a command says; false once the conversation is over.
    async fn obey(&mut self, line: &[u8]) -> io::Result<bool> {
        let text = String::from_utf8_lossy(line);
        let (verb, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let rest = rest.trim();
        match verb.to_ascii_uppercase().as_str() {
            "HELO" => self.hello(false, "250 stentor").await?,
            "EHLO" | "LHLO" => {
                let lmtp = verb.eq_ignore_ascii_case("LHLO");
                let greeting = format!(
                    "250-stentor\r\n250-SIZE {}\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES",
                    self.max_bytes
                );
                self.hello(lmtp, &greeting).await?;
            }
            "MAIL" => self.mail(rest).await?,
            "RCPT" => self.recipient(rest).await?,
            "DATA" => return self.data().await,
            "RSET" => {
                self.forget();
                self.say("250 2.0.0 OK").await?;
            }
            "NOOP" => self.say("250 2.0.0 OK").await?,
            "VRFY" => self.say("252 2.0.0 try it").await?,
            "QUIT" => {
                self.say("221 2.0.0 bye").await?;
                return Ok(false);
            }
            _ => self.complain("502 5.5.1 not here").await?,
        }
        Ok(true)
    }

    async fn hello(&mut self, lmtp: bool, greeting: &str) -> io::Result<()> {
        self.lmtp = lmtp;
        self.forget();
        self.say(greeting).await
    }

    async fn mail(&mut self, rest: &str) -> io::Result<()> {
        if self.sender {
            return self.complain("503 5.5.1 one mail at a time").await;
        }
        let Some((_, parameters)) = path(rest, "FROM:") else { return self.complain("501 5.5.4 MAIL FROM:<address>").await };
        let size = parameters.split(' ').find_map(|p| p.strip_prefix("SIZE=").or_else(|| p.strip_prefix("size=")));
        if size.and_then(|size| size.parse::<usize>().ok()).is_some_and(|size| size > self.max_bytes) {
            return self.say("552 5.3.4 that is too large for a bounce").await;
        }
        self.sender = true;
        self.say("250 2.1.0 OK").await
    }

    async fn recipient(&mut self, rest: &str) -> io::Result<()> {
        if !self.sender {
            return self.complain("503 5.5.1 MAIL first").await;
        }
        let Some((address, _)) = path(rest, "TO:") else { return self.complain("501 5.5.4 RCPT TO:<address>").await };
        if self.recipients.len() >= MAX_RECIPIENTS {
            return self.say("452 4.5.3 that are too many recipients at once").await;
        }
        match self.state.knows_return_path(address).await {
            Ok(true) => {
                self.recipients.push(address.to_owned());
                self.say("250 2.1.5 OK").await
            }
            Ok(false) => self.complain("550 5.1.1 no mail of ours bounces to this address").await,
            Err(error) => {
                error.log();
                self.say("451 4.3.0 come back later").await
            }
        }
    }

    async fn data(&mut self) -> io::Result<bool> {
        if self.recipients.is_empty() {
            self.complain("503 5.5.1 RCPT first").await?;
            return Ok(true);
        }
        self.say("354 end with a dot").await?;
        let Ok(text) = timeout(MAIL_TIME, self.text()).await else {
            self.say("421 4.4.2 that took too long").await?;
            return Ok(false);
        };
        let recipients = std::mem::take(&mut self.recipients);
        self.forget();
        self.commands = 0;
        let Some(text) = text? else { return Ok(false) };
        // SMTP is answered once for all, LMTP once for each.
        let mut answers = Vec::new();
        for recipient in &recipients {
            answers.push(match &text {
                None => "552 5.3.4 that is too large for a bounce",
                Some(text) => self.take(text, recipient).await,
            });
        }
        if !self.lmtp {
            let worst = answers.iter().find(|answer| !answer.starts_with('2')).or(answers.first()).copied();
            answers = worst.into_iter().collect();
        }
        for answer in answers {
            self.say(answer).await?;
        }
        Ok(true)
    }

    async fn take(&self, text: &[u8], recipient: &str) -> &'static str {
        let Some(bounce) = read_report(text, &[recipient.to_owned()]) else {
            // Somebody's holiday, or an answer: it is not for us, and to refuse it would make a bounce of it.
            return "250 2.0.0 OK, and not kept: it is no report";
        };
        match self.state.take_bounce(&bounce).await {
            Ok(true) => "250 2.0.0 OK, noted",
            Ok(false) => "250 2.0.0 OK, and not kept: the mail is not known any more",
            Err(error) => {
                error.log();
                "451 4.3.0 come back later"
            }
        }
    }

    /// A mail's text up to the dot: `None` if the connection ended, `Some(None)` if it is too large.
    async fn text(&mut self) -> io::Result<Option<Option<Vec<u8>>>> {
        let mut text = Some(Vec::new());
        loop {
            let mut line = match self.line(self.max_bytes).await? {
                Line::Whole(line) => line,
                Line::TooLong => {
                    text = None;
                    continue;
                }
                Line::End => return Ok(None),
            };
            if line == b"." {
                return Ok(Some(text));
            }
            if line.first() == Some(&b'.') {
                line.remove(0);
            }
            text = text.filter(|text| text.len() + line.len() + 2 <= self.max_bytes);
            if let Some(text) = &mut text {
                text.extend_from_slice(&line);
                text.extend_from_slice(b"\r\n");
            }
        }
    }

    /// What stands before the next CR LF, of at most `max` bytes.
    async fn line(&mut self, max: usize) -> io::Result<Line> {
        let mut line = Vec::new();
        let mut too_long = false;
        loop {
            let left = (max + 2).saturating_sub(line.len()) as u64;
            let read = (&mut self.stream).take(left.max(1)).read_until(b'\n', &mut line).await?;
            if read == 0 {
                return Ok(Line::End);
            }
            if line.ends_with(b"\r\n") {
                line.truncate(line.len() - 2);
                return Ok(if too_long { Line::TooLong } else { Line::Whole(line) });
            }
            if line.len() >= max + 2 {
                too_long = true;
                // The last byte stays: it may be the CR of the end.
                line.drain(..line.len() - 1);
            }
        }
    }

    fn forget(&mut self) {
        self.sender = false;
        self.recipients.clear();
    }

    async fn complain(&mut self, text: &str) -> io::Result<()> {
        self.errors += 1;
        self.say(text).await
    }

    async fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).await
    }
}

/// The address in `FROM:<address> parameters`, and the parameters.
fn path<'a>(rest: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let (head, tail) = rest.split_at_checked(keyword.len())?;
    let inner = tail.trim_start().strip_prefix('<')?;
    let (address, parameters) = inner.split_once('>')?;
    head.eq_ignore_ascii_case(keyword).then_some((address, parameters.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(path("FROM:<>", "FROM:"), Some(("", "")));
        assert_eq!(path("from: <a@b.cd> SIZE=5 BODY=8BITMIME", "FROM:"), Some(("a@b.cd", "SIZE=5 BODY=8BITMIME")));
        for bad in ["", "TO", "TO:", "TO:a@b.cd", "TO:<a@b.cd", "é:<a@b.cd>"] {
            assert_eq!(path(bad, "TO:"), None, "{bad}");
        }
    }
}
