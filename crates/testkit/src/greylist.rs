//! A greylister of the test's own: Debian's postgrey, which puts off whom it has not seen.

use std::{
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::free_port;

const PROGRAM: &str = "/usr/sbin/postgrey";
const PATIENCE: Duration = Duration::from_secs(20);

/// A running postgrey that takes a mail a second after it was first seen. Stopped when dropped.
#[derive(Debug)]
pub struct Greylist {
    child: Child,
    port: u16,
    _data: TempDir,
}

impl Greylist {
    /// Starts it and waits until it answers.
    pub fn start() -> Self {
        let (data, port) = (tempfile::tempdir().expect("a directory for postgrey"), free_port());
        let nobody = data.path().join("nobody");
        std::fs::write(&nobody, "").expect("an empty whitelist");
        let own = |flag: &str| {
            let out = Command::new("id").arg(flag).output().expect("id runs");
            String::from_utf8(out.stdout).expect("ASCII").trim().to_owned()
        };
        let mut command = Command::new(PROGRAM);
        command
            .arg(format!("--inet=127.0.0.1:{port}"))
            .arg(format!("--dbdir={}", data.path().display()))
            .arg(format!("--user={}", own("-un")))
            .arg(format!("--group={}", own("-gn")))
            .arg(format!("--whitelist-clients={}", nobody.display()))
            .arg(format!("--whitelist-recipients={}", nobody.display()))
            .args(["--delay=1", "--auto-whitelist-clients=0"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|e| panic!("{PROGRAM} does not start ({e}): `make test-deps` installs postgrey"));
        let greylist = Self { child, port, _data: data };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "postgrey does not come up");
            thread::sleep(Duration::from_millis(20)); // it tells nobody when it is ready
        }
        greylist
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Greylist {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
