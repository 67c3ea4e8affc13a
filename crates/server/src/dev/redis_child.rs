//! The `redis-server` that `stentor dev` keeps: a child of its own with AOF on, never one that the system runs.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

/// How long Redis may take to load its data.
const START_WITHIN: Duration = Duration::from_mins(1);
/// How long it may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// A running `redis-server` on a free port of the loopback.
pub(crate) struct RedisChild {
    child: Child,
    url: String,
    port_file: PathBuf,
}

impl RedisChild {
    /// Starts a server over the data in `dir`. If an earlier `stentor dev` was killed and left its server behind, that
    /// one is ended first: two servers must not write one AOF.
    pub(crate) async fn start(dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))?;
        let port_file = dir.join("port");
        end_orphan(&port_file, dir).await?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let conf = dir.join("redis.conf");
        let text = format!(
            "bind 127.0.0.1\nport {port}\ndir \"{}\"\nsave \"\"\nappendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\n",
            dir.display()
        );
        std::fs::write(&conf, text)?;
        std::fs::write(&port_file, port.to_string())?;
        let log = std::fs::File::create(dir.join("redis.log"))?;
        let mut command = Command::new("redis-server");
        // A group of its own, so that Ctrl-C reaches us and not Redis: it ends after what is in flight.
        command.arg(&conf).stdin(Stdio::null()).stdout(log).stderr(Stdio::null()).process_group(0).kill_on_drop(true);
        let child = command.spawn().context("redis-server does not start: is it installed? `make deps` installs it")?;
        let mut server = Self { child, url: format!("redis://127.0.0.1:{port}"), port_file };
        let end = Instant::now() + START_WITHIN;
        while !answers(&server.url).await {
            if let Some(status) = server.child.try_wait()? {
                bail!("redis-server ended at once ({status}); {} says why", dir.join("redis.log").display());
            }
            if Instant::now() > end {
                bail!("redis-server does not answer; {} says why", dir.join("redis.log").display());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Ends it in order, with its data written.
    pub(crate) async fn stop(mut self) {
        shut_down(&self.url).await;
        if timeout(STOP_WITHIN, self.child.wait()).await.is_err() {
            tracing::warn!("redis-server does not end and is killed; its AOF is whole all the same");
        }
        let _ = std::fs::remove_file(&self.port_file);
    }
}

async fn connect(url: &str) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
    let config = redis::AsyncConnectionConfig::new().set_connection_timeout(Some(Duration::from_millis(500)));
    redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}

async fn answers(url: &str) -> bool {
    match connect(url).await {
        Ok(mut conn) => redis::cmd("PING").query_async::<String>(&mut conn).await.is_ok(),
        Err(_) => false,
    }
}

async fn shut_down(url: &str) {
    if let Ok(mut conn) = connect(url).await {
        let _ = redis::cmd("SHUTDOWN").arg("NOSAVE").query_async::<()>(&mut conn).await; // AOF is on: nothing is left to save
    }
}

/// Ends the server that a killed `stentor dev` left behind, if what listens there is really the one over `dir`.
async fn end_orphan(port_file: &Path, dir: &Path) -> anyhow::Result<()> {
    let Some(port) = std::fs::read_to_string(port_file).ok().and_then(|p| p.trim().parse::<u16>().ok()) else { return Ok(()) };
    let url = format!("redis://127.0.0.1:{port}");
    let Ok(mut conn) = connect(&url).await else { return Ok(()) };
    let config: redis::RedisResult<Vec<String>> = redis::cmd("CONFIG").arg("GET").arg("dir").query_async(&mut conn).await;
    let same = config.is_ok_and(|c| c.get(1).is_some_and(|d| Path::new(d) == dir));
    if !same {
        return Ok(());
    }
    if std::fs::read_to_string(dir.join("../pid")).is_ok_and(|pid| is_running(pid.trim())) {
        bail!("another `stentor dev` runs over {}; stop it, or give --data another folder", dir.display());
    }
    tracing::info!("an earlier stentor dev was killed and left its redis-server behind; it is ended first");
    shut_down(&url).await;
    let end = Instant::now() + STOP_WITHIN;
    while answers(&url).await {
        if Instant::now() > end {
            bail!("the redis-server that was left behind on port {port} does not end");
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

fn is_running(pid: &str) -> bool {
    // Linux; elsewhere /proc is absent and the orphan is ended without asking.
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "stentor")
        && pid != std::process::id().to_string()
}
