//! `stentor serve`, as it runs in production.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use serde_json::Value;
use stentor_testkit::free_port;

use super::{Api, PATIENCE, stentor};

/// `stentor serve` on the test's own servers.
pub struct Serve {
    child: Child,
    pub api: Api,
}

impl Serve {
    pub async fn start(redis: &str, database: &str, more: &[(&str, &str)]) -> Self {
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let settings = [
            ("STENTOR__HTTP__LISTEN", listen.as_str()),
            ("STENTOR__REDIS__URL", redis),
            ("STENTOR__ARCHIVE__URL", database),
            ("STENTOR__LOG__LEVEL", "info"),
            ("STENTOR__LOG__FORMAT", "json"),
        ];
        let cli = |args: &[&str]| {
            let output = stentor().args(["--json"]).args(args).envs(settings).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            serde_json::from_slice::<Value>(&output.stdout).unwrap()
        };
        cli(&["app", "create", "bank"]);
        let key =
            cli(&["key", "create", "--app", "bank", "--scopes", "send,read,manage"])["api_key"].as_str().unwrap().to_owned();
        let mut child = stentor().arg("serve").envs(settings).envs(more.iter().copied()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (tx, rx) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut tx = Some(tx);
            for line in stderr.lines().map_while(Result::ok) {
                let ready = serde_json::from_str::<Value>(&line).is_ok_and(|l| l["message"] == "ready");
                if let Some(tx) = tx.take_if(|_| ready) {
                    let _ = tx.send(());
                }
                if std::env::var_os("STENTOR_TEST_LOG").is_some() {
                    eprintln!("{line}");
                }
            }
        });
        tokio::time::timeout(PATIENCE, rx).await.expect("serve is ready in time").expect("serve runs");
        Self { child, api: Api::new(&format!("http://{listen}"), &key) }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The URL of a database in `dir`.
pub fn sqlite(dir: &tempfile::TempDir) -> String {
    format!("sqlite:{}?mode=rwc", dir.path().join("stentor.db").display())
}
