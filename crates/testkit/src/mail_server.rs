//! A mail server of the test's own.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    certificate::make_certificate,
    script::{self, Script},
};

const SERVER: &str = include_str!("scripts/mail_server.py");
const PACKAGES: &str = "python3-aiosmtpd and python3-dkim";

/// What the server demands and offers.
#[derive(Clone, Copy, Debug, Default)]
pub struct MailOptions {
    /// Whether and how it speaks TLS.
    pub tls: MailTls,
    /// User and password that it demands.
    pub login: Option<(&'static str, &'static str)>,
    /// Whether it takes addresses beyond ASCII.
    pub utf8: bool,
}

/// How the server speaks TLS, with a certificate for `localhost` and 127.0.0.1 of an authority that only
/// [`ca_file`](MailServer::ca_file) vouches for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MailTls {
    /// Not at all.
    #[default]
    None,
    /// It demands STARTTLS.
    StartTls,
    /// From the first byte.
    Wrapped,
}

/// A real SMTP server process (Debian's python3-aiosmtpd), stopped and its mails removed when dropped.
///
/// It takes every mail, except that a recipient's local part can ask for something else: `refuse-550@…` (any code,
/// at RCPT), `greylist-…@…` (450 the first time), `data-554@…` (any code, after the text), `stall-rcpt@…` and
/// `stall-data@…` (no answer), `drop-data@…` (the connection breaks after the text). Only mails that were taken are kept.
#[derive(Debug)]
pub struct MailServer {
    script: Script,
    folder: TempDir,
    options: MailOptions,
}

impl MailServer {
    /// Starts a server without TLS and without login.
    pub fn start() -> Self {
        Self::start_with(MailOptions::default())
    }

    /// Starts a server and waits until it listens.
    pub fn start_with(options: MailOptions) -> Self {
        let folder = tempfile::tempdir().expect("a folder for mails");
        fs::create_dir(folder.path().join("mails")).expect("a folder for mails");
        if options.tls != MailTls::None {
            make_certificate(folder.path());
        }
        let script = run(folder.path(), options, 0);
        Self { script, folder, options }
    }

    /// Its address as Stentor's configuration wants it: without TLS if it has none, else with TLS, and with the login.
    pub fn url(&self) -> String {
        let (scheme, parameters) = match self.options.tls {
            MailTls::None => ("smtp", "?tls=none"),
            MailTls::StartTls => ("smtp", "?tls=required"),
            MailTls::Wrapped => ("smtps", ""),
        };
        let login = self.options.login.map_or_else(String::new, |(user, password)| format!("{user}:{password}@"));
        format!("{scheme}://{login}localhost:{}{parameters}", self.port())
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.script.port()
    }

    /// Its process id, for signals.
    pub fn pid(&self) -> u32 {
        self.script.pid()
    }

    /// The authority that its certificate can be checked by.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The mails that it took so far, byte for byte as they came, in the order in which they came.
    pub fn mails(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("mails")).expect("the folder of mails is readable");
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|e| e == "eml") && !is_draft(path));
        paths.sort();
        paths.iter().map(|path| String::from_utf8_lossy(&fs::read(path).expect("a mail is readable")).into_owned()).collect()
    }

    /// Waits until it took `n` mails in all, and gives all of them. Panics if that takes longer than `timeout`.
    pub async fn wait_for(&self, n: usize, timeout: Duration) -> Vec<String> {
        self.script.wait_for("mail", n, timeout).await;
        self.mails()
    }

    /// Whom the mails that it took came from, by their envelopes, in order.
    pub fn senders(&self) -> Vec<String> {
        let from = |event: &Value| event["from"].as_str().unwrap_or_default().to_owned();
        self.script.events("mail").iter().map(from).collect()
    }

    /// Whom the mails came from that it put off, by their envelopes, in order.
    pub fn put_off_senders(&self) -> Vec<String> {
        self.script.events("refused").iter().filter_map(|event| Some(event["from"].as_str()?.to_owned())).collect()
    }

    /// Waits until it refused `n` mails in all.
    pub async fn wait_for_refusals(&self, n: usize, timeout: Duration) {
        self.script.wait_for("refused", n, timeout).await;
    }

    /// Waits until it fell silent over `n` mails in all.
    pub async fn wait_for_stalls(&self, n: usize, timeout: Duration) {
        self.script.wait_for("stalled", n, timeout).await;
    }

    /// How many connections were made to it so far, since it was started or restarted.
    pub fn connections(&self) -> usize {
        self.script.count("connected")
    }

    /// Ends the server as a power cut would. Its mails stay.
    pub fn kill(&mut self) {
        self.script.kill();
    }

    /// Starts it again on the same port and folder, after [`kill`](Self::kill). It counts its mails anew: those of before are removed.
    pub fn restart(&mut self) {
        self.kill();
        let port = self.port();
        for entry in fs::read_dir(self.folder.path().join("mails")).expect("the folder of mails is readable").flatten() {
            fs::remove_file(entry.path()).expect("a mail can be removed");
        }
        self.script = run(self.folder.path(), self.options, port);
    }
}

/// A mail as Python's email package reads it: `type`, `headers` (names in lower case, values decoded), `defects`, and
/// `parts`, the leaves in order, each with `type`, `text` or `base64`, `name`, `disposition` and `content_id`; `structure` are
/// the types of all parts, from the outside in.
pub fn read_mail(mail: &str) -> Value {
    let json = script::run(include_str!("scripts/read_mail.py"), &[], mail.as_bytes(), PACKAGES);
    serde_json::from_str(&json).expect("the script prints JSON")
}

/// Whether a mail's DKIM signature is good, if the TXT record `name` holds `record` (Debian's python3-dkim).
pub fn dkim_verifies(mail: &str, name: &str, record: &str) -> bool {
    script::run(include_str!("scripts/verify_dkim.py"), &[name, record], mail.as_bytes(), PACKAGES).trim() == "good"
}

fn is_draft(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn run(folder: &Path, options: MailOptions, port: u16) -> Script {
    let path = |name: &str| folder.join(name).to_str().expect("the temporary folder's path is UTF-8").to_owned();
    let mut arguments = vec![path("mails"), format!("--port={port}")];
    if options.tls != MailTls::None {
        arguments.push(format!("--certificate={}", path("cert.pem")));
        arguments.push(format!("--key={}", path("key.pem")));
    }
    if options.tls == MailTls::Wrapped {
        arguments.push("--wrapped".into());
    }
    if let Some((user, password)) = options.login {
        arguments.push(format!("--login={user}:{password}"));
    }
    if options.utf8 {
        arguments.push("--utf8".into());
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Script::start(SERVER, &arguments, PACKAGES)
}
