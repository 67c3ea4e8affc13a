//! A Postfix of the test's own: Debian's programs, with a configuration, a queue and mailboxes under one temporary folder.

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{certificate::make_certificate, free_port};

/// How long it may take to come up. Never waited for when all is well.
const PATIENCE: Duration = Duration::from_secs(30);
const PROGRAMS: [&str; 2] = ["/usr/lib/postfix/sbin", "/usr/libexec/postfix"];

/// A running Postfix (`master` and what it starts), ended when dropped.
///
/// It takes mail for `example.com` into one mailbox, offers STARTTLS with a certificate that [`ca_file`](Self::ca_file) vouches for,
/// and hands other domains on as it was told. It hangs up on who says nothing for 2 s, unless it is [patient](Self::start_patient).
/// Who is refused or put off, [`set_access`](Self::set_access) says.
#[derive(Debug)]
pub struct Postfix {
    master: Child,
    folder: TempDir,
    port: u16,
}

impl Postfix {
    /// Whether it can be started: only root may give its parts their users.
    pub fn can_run() -> bool {
        let id = Command::new("id").arg("-u").output();
        id.is_ok_and(|out| out.stdout.trim_ascii() == b"0")
    }

    /// Starts it and waits until it answers. `transports` are where other domains go, such as `("bounces.test",
    /// "lmtp:inet:127.0.0.1:2525")`.
    pub fn start(transports: &[(&str, &str)]) -> Self {
        Self::start_with(transports, "smtpd_timeout = 2s\n")
    }

    /// The same, with the patience that a mail server has with who is busy (RFC 5321 section 4.5.3.2 asks for 5 minutes), and
    /// without holding back who brings more than has been put into the mailbox: for many mails on a machine that has other
    /// things to do.
    pub fn start_patient() -> Self {
        Self::start_with(&[], "in_flow_delay = 0\n")
    }

    fn start_with(transports: &[(&str, &str)], own: &str) -> Self {
        let programs = PROGRAMS.iter().map(PathBuf::from).find(|path| path.join("master").exists());
        let programs = programs.expect("postfix is installed: `make test-deps` installs it");
        let folder = tempfile::tempdir().expect("a folder for Postfix");
        let port = free_port();
        lay_out(folder.path(), &programs, port, transports, own);
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        let mut command = Command::new(programs.join("master"));
        command.arg("-c").arg(folder.path().join("conf")).arg("-s").stdin(Stdio::null());
        let master = command.stdout(log.try_clone().expect("a log")).stderr(log).spawn().expect("Postfix starts");
        let postfix = Self { master, folder, port };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "Postfix does not come up: {}", postfix.log());
            thread::sleep(Duration::from_millis(20)); // it tells nobody when it is ready
        }
        postfix
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address as Stentor's configuration wants it, with TLS.
    pub fn url(&self) -> String {
        format!("smtp://localhost:{}?tls=required", self.port)
    }

    /// The authority that its certificate can be checked by.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        ["log", "maillog"].map(|name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()).concat()
    }

    /// How many connections were made to it so far: this program's own one, with which it waited, among them.
    pub fn connections(&self) -> usize {
        self.log().lines().filter(|line| line.contains("/smtpd[") && line.contains("]: connect from ")).count()
    }

    /// Says what recipients are answered: `("gone@example.com", "550 5.1.1 no such user")`. All others are taken. Who is in a
    /// conversation goes on by the answers before.
    pub fn set_access(&self, answers: &[(&str, &str)]) {
        let lines: String = answers.iter().flat_map(|(address, answer)| [address, " ", answer, "\n"]).collect();
        let path = self.folder.path().join("conf/access");
        fs::write(&path, lines).expect("the answers are written");
        self.reload();
    }

    fn reload(&self) {
        let reload = Command::new("kill").args(["-HUP", &self.master.id().to_string()]).status().expect("kill runs");
        assert!(reload.success());
    }

    /// From now on it asks the policy service on this port of 127.0.0.1 about each recipient first.
    pub fn ask_policy(&self, port: u16) {
        let path = self.folder.path().join("conf/main.cf");
        let main = fs::read_to_string(&path).expect("its configuration is readable");
        let ask = format!("smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{port}, ");
        fs::write(&path, main.replace("smtpd_recipient_restrictions = ", &ask)).expect("its configuration is written");
        self.reload();
    }

    /// How many mails are in the mailbox.
    pub fn count(&self) -> usize {
        fs::read_dir(self.folder.path().join("mail/all/new")).map_or(0, Iterator::count)
    }

    /// The mails in the mailbox, byte for byte, in the order in which they came.
    pub fn mails(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("mail/all/new")).into_iter().flatten().flatten();
        let mut paths: Vec<(std::time::SystemTime, PathBuf)> =
            entries.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
        paths.sort();
        // A mailbox has the line ends of its system.
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).expect("a mail is readable")).replace('\n', "\r\n");
        paths.iter().map(|(_, path)| read(path)).collect()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // `master` ends its children on SIGTERM; killed, it would leave them behind.
        let told = Command::new("kill").arg(self.master.id().to_string()).status();
        if !told.is_ok_and(|status| status.success()) {
            let _ = self.master.kill();
        }
        let _ = self.master.wait();
    }
}

fn lay_out(root: &Path, programs: &Path, port: u16, transports: &[(&str, &str)], own: &str) {
    let make = |name: &str, owner: &str, group: &str, mode: u32| {
        let path = root.join(name);
        fs::create_dir_all(&path).expect("a folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        let owned = Command::new("chown").arg(format!("{owner}:{group}")).arg(&path).status().expect("chown runs");
        assert!(owned.success(), "{name} cannot be given to {owner}:{group}: is postfix installed?");
    };
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).expect("others may enter");
    make("conf", "root", "root", 0o755);
    make("queue", "root", "root", 0o755);
    make("queue/pid", "root", "root", 0o755);
    for queue in ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"] {
        make(&format!("queue/{queue}"), "postfix", "root", 0o700);
    }
    make("queue/maildrop", "postfix", "postdrop", 0o730);
    make("queue/public", "postfix", "postdrop", 0o710);
    make("data", "postfix", "root", 0o700);
    make("mail", "postfix", "postfix", 0o755);
    make_certificate(root);
    let root_text = root.display();
    let id = |flag: &str| {
        let out = Command::new("id").args([flag, "postfix"]).output().expect("id runs");
        String::from_utf8(out.stdout).expect("ASCII").trim().to_owned()
    };
    let main = format!(
        "compatibility_level = 3.6\nqueue_directory = {root_text}/queue\ndata_directory = {root_text}/data\n\
         command_directory = /usr/sbin\ndaemon_directory = {programs}\nmail_owner = postfix\nsetgid_group = postdrop\n\
         inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmyhostname = mx.test\nmydestination =\nmynetworks = 127.0.0.0/8\n\
         alias_maps =\nlocal_recipient_maps =\nvirtual_mailbox_domains = example.com\nvirtual_mailbox_maps = static:all/\n\
         virtual_mailbox_base = {root_text}/mail\nvirtual_uid_maps = static:{uid}\nvirtual_gid_maps = static:{gid}\n\
         virtual_minimum_uid = 1\ntransport_maps = texthash:{root_text}/conf/transport\nrecipient_delimiter = +\n\
         smtpd_relay_restrictions = permit_mynetworks, reject\nsmtpd_peername_lookup = no\ndisable_dns_lookups = yes\n\
         smtpd_recipient_restrictions = check_recipient_access texthash:{root_text}/conf/access, permit_mynetworks, reject\n\
         notify_classes =\nmaillog_file = {root_text}/maillog\nmaillog_file_prefixes = {root_text}\nsmtpd_tls_security_level = may\nsmtpd_tls_cert_file = {root_text}/cert.pem\n\
         smtpd_tls_key_file = {root_text}/key.pem\nsmtpd_client_connection_count_limit = 0\ndefault_process_limit = 100\n{own}",
        programs = programs.display(),
        uid = id("-u"),
        gid = id("-g"),
    );
    let master = format!(
        "127.0.0.1:{port} inet n - n - - smtpd\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
         tlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n\
         defer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nverify unix - - n - 1 verify\nflush unix n - n 1000? 0 flush\n\
         proxymap unix - - n - - proxymap\nsmtp unix - - n - - smtp\nlmtp unix - - n - - lmtp\nerror unix - - n - - error\n\
         retry unix - - n - - error\ndiscard unix - - n - - discard\nvirtual unix - n n - - virtual\nanvil unix - - n - 1 anvil\n\
         scache unix - - n - 1 scache\npostlog unix-dgram n - n - 1 postlogd\n"
    );
    let transport: String = transports.iter().flat_map(|(domain, way)| [domain, " ", way, "\n"]).collect();
    for (name, text) in [("main.cf", main), ("master.cf", master), ("transport", transport), ("access", String::new())] {
        fs::write(root.join("conf").join(name), text).expect("its configuration is written");
    }
}
