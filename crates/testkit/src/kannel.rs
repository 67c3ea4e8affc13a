//! A Kannel of the test's own: bearerbox, smsbox, and its fake SMSC in the place of the phones.

use std::{
    fs::File,
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::free_port;

/// Where Debian's `kannel-extras` has it.
const FAKE_SMSC: &str = "/usr/lib/kannel/test/fakesmsc";
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a Kannel will listen, before it runs: whoever it calls back must be told first.
#[derive(Clone, Copy, Debug)]
pub struct KannelPlan {
    admin: u16,
    boxes: u16,
    smsc: u16,
    sendsms: u16,
}

impl KannelPlan {
    /// Ports that are free now.
    pub fn new() -> Self {
        Self { admin: free_port(), boxes: free_port(), smsc: free_port(), sendsms: free_port() }
    }

    /// The whole sendsms URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/cgi-bin/sendsms?username=stentor&password=secret", self.sendsms)
    }
}

impl Default for KannelPlan {
    fn default() -> Self {
        Self::new()
    }
}

/// A running Kannel, with a phone that takes every message. Stopped by its own process ids when dropped.
#[derive(Debug)]
pub struct Kannel {
    bearerbox: Child,
    smsbox: Child,
    phone: Mutex<Option<Child>>,
    smsc: u16,
    data: TempDir,
}

impl Kannel {
    /// Starts it and waits until it takes messages. What phones send is fetched from `incoming`, a URL with a query, with `from`,
    /// `text` and `id` added.
    pub fn start(plan: &KannelPlan, incoming: &str) -> Self {
        let kannel = Self::start_out_of_reach(plan, incoming);
        kannel.await_phone(1, || fake_smsc(plan.smsc, kannel.data.path(), "nobody nowhere text nothing", 0));
        kannel
    }

    /// The same, with no phone in reach: messages wait, as long as they are valid.
    pub fn start_out_of_reach(plan: &KannelPlan, incoming: &str) -> Self {
        let data = tempfile::tempdir().expect("a directory for Kannel");
        let conf = data.path().join("kannel.conf");
        std::fs::write(&conf, configuration(*plan, incoming)).expect("Kannel's configuration is written");
        let bearerbox = run(Command::new("bearerbox").arg("-v").arg("1").arg(&conf), &data.path().join("bearerbox"));
        await_port(plan.boxes);
        let smsbox = run(Command::new("smsbox").arg("-v").arg("1").arg(&conf), &data.path().join("smsbox"));
        await_port(plan.sendsms);
        Self { bearerbox, smsbox, phone: Mutex::default(), smsc: plan.smsc, data }
    }

    /// A phone sends `text` to `to`; it goes on taking messages.
    pub fn send(&self, from: &str, to: &str, text: &str) {
        self.hang_up();
        let before = self.connections();
        let connect = || fake_smsc(self.smsc, self.data.path(), &format!("{from} {to} text {text}"), 1);
        self.await_phone(before + 1, connect);
    }

    /// What phones got so far, in the fake SMSC's words: `SENDER RECEIVER text WORDS`, or `ucs-2` and percent-encoded bytes.
    pub fn received(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.data.path().join("phone")).unwrap_or_default();
        let message = |line: &str| Some(line.split_once("Got message ")?.1.split_once('<')?.1.strip_suffix('>')?.to_owned());
        log.lines().filter_map(message).collect()
    }

    fn hang_up(&self) {
        if let Some(mut phone) = self.phone.lock().unwrap_or_else(PoisonError::into_inner).take() {
            end(&mut phone);
        }
    }

    fn connections(&self) -> usize {
        let log = std::fs::read_to_string(self.data.path().join("bearerbox")).unwrap_or_default();
        log.matches("Fakesmsc client connected").count()
    }

    /// The fake SMSC gives up at once if nobody listens yet.
    fn await_phone(&self, connections: usize, again: impl Fn() -> Child) {
        wait("Kannel's fake SMSC connects", || {
            let mut phone = self.phone.lock().unwrap_or_else(PoisonError::into_inner);
            if !phone.as_mut().is_some_and(|phone| matches!(phone.try_wait(), Ok(None))) {
                *phone = Some(again());
            }
            self.connections() >= connections
        });
    }
}

impl Drop for Kannel {
    fn drop(&mut self) {
        self.hang_up();
        end(&mut self.smsbox);
        end(&mut self.bearerbox);
    }
}

fn configuration(plan: KannelPlan, incoming: &str) -> String {
    let KannelPlan { admin, boxes, smsc, sendsms } = plan;
    format!(
        r#"group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = secret
smsbox-port = {boxes}
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
box-deny-ip = *.*.*.*
dlr-storage = internal
sms-resend-freq = 1

group = smsc
smsc = fake
smsc-id = fake
port = {smsc}
our-host = 127.0.0.1
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1

group = sendsms-user
username = stentor
password = secret

group = sms-service
keyword = default
catch-all = true
omit-empty = true
max-messages = 1
get-url = "{incoming}&from=%p&text=%a&id=%I"
"#
    )
}

fn fake_smsc(port: u16, data: &Path, message: &str, count: u32) -> Child {
    let mut command = Command::new(FAKE_SMSC);
    command.args(["-H", "127.0.0.1", "-r", &port.to_string(), "-i", "0.1", "-m", &count.to_string(), message]);
    run(&mut command, &data.join("phone"))
}

/// Starts a program whose words are added to `log`.
fn run(command: &mut Command, log: &Path) -> Child {
    let log = File::options().create(true).append(true).open(log).expect("a log can be written");
    let copy = log.try_clone().expect("a log has two ends");
    let child = command.stdin(Stdio::null()).stdout(log).stderr(copy).spawn();
    child.unwrap_or_else(|e| panic!("{command:?} does not start ({e}): `make test-deps` installs kannel and kannel-extras"))
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn await_port(port: u16) {
    wait("Kannel listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
}

/// What starts gives no event to wait for.
fn wait(what: &str, done: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < until, "in vain: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
