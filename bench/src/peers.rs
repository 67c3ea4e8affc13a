//! Peers: other products from the public registries, which `scripts/bench-peers.sh` installs into `target/bench-peers`. What is not
//! there is not measured, and said so.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{parts::live::Kind, server::Server, subject};

/// Where they are installed: `node_modules` and a Python of their own.
fn installed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench-peers")
}

/// A program among the sources of the peers.
fn source(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(file)
}

/// A script of `bench/peers`, and what runs it; `None` if it is not installed.
pub(crate) fn program(file: &str) -> Option<(PathBuf, PathBuf)> {
    let (runs, there) = if Path::new(file).extension().is_some_and(|e| e == "py") {
        let python = installed().join("python/bin/python");
        (python.clone(), python)
    } else {
        (PathBuf::from("node"), installed().join("node_modules"))
    };
    there.exists().then(|| (runs, source(file)))
}

/// What a peer's script found on the server's core; `None` if it is not installed, or fails.
pub(crate) fn run(file: &str, args: &[String]) -> Option<Value> {
    let (runs, script) = program(file)?;
    let mut command = subject::on_core(runs);
    command.arg(script).args(args).env("BENCH_PEERS", installed());
    let found = subject::try_last_line(command);
    if let Err(error) = &found {
        eprintln!("{error}");
    }
    found.ok()
}

/// The program that serves sockets by centrifuge, if it was built.
pub(crate) fn centrifuge() -> Option<PathBuf> {
    Some(installed().join("centrifuge")).filter(|program| program.exists())
}

/// Which centrifuge it is.
pub(crate) fn centrifuge_version() -> Option<String> {
    std::fs::read_to_string(installed().join("centrifuge.version")).ok()
}

/// nginx, if it has nchan.
pub(crate) fn nchan() -> Option<&'static Path> {
    let nginx = Path::new("/usr/sbin/nginx");
    (nginx.exists() && Path::new(NCHAN).exists()).then_some(nginx)
}

const NCHAN: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// Serves sockets by a peer: `GET /ws/{i}` (socket.io has its own path), `POST /all`, `POST /one/{i}`. The folder is what it needs as long as
/// it runs.
pub(crate) fn serve(kind: Kind) -> (Server, Option<tempfile::TempDir>) {
    if kind == Kind::Centrifuge {
        let program = centrifuge().expect("it is built");
        return (Server::start(&program, &[], &[], |line| Some(line.to_owned())), None);
    }
    if kind != Kind::Nchan {
        let file = if kind == Kind::Ws { "ws.mjs" } else { "socketio.mjs" };
        let (node, script) = program(file).expect("it is installed");
        let settings = [("BENCH_PEERS".to_owned(), installed().display().to_string())];
        let script = script.display().to_string();
        return (Server::start(&node, &[&script], &settings, |line| Some(line.to_owned())), None);
    }
    let dir = tempfile::tempdir().expect("a directory");
    let port = stentor_testkit::free_port();
    let config = std::fs::read_to_string(source("nchan.conf")).expect("its settings");
    let config = config
        .replace("@MODULE@", NCHAN)
        .replace("@PORT@", &port.to_string())
        .replace("@DIR@", &dir.path().display().to_string());
    let file = dir.path().join("nginx.conf");
    std::fs::write(&file, config).expect("its settings are written");
    let (file, prefix) = (file.display().to_string(), dir.path().display().to_string());
    let nginx = nchan().expect("it is installed");
    // It says nothing when it is ready: its log does.
    let server = Server::start(nginx, &["-c", &file, "-p", &prefix, "-e", "stderr"], &[], move |line| {
        line.contains("start worker process")
            .then(|| format!("127.0.0.1:{port}"))
            .or_else(|| line.contains("using the \"epoll\"").then(|| format!("127.0.0.1:{port}")))
    });
    (server, Some(dir))
}
