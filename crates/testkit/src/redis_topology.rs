//! Redis as more than one server: a Cluster, and a master that Sentinel watches over.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{RedisServer, free_port};

/// How long servers may take to agree.
const PATIENCE: Duration = Duration::from_secs(30);

/// A Cluster of three masters without replicas, stopped when dropped.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts three nodes, deals out the slots, and waits until each knows of all.
    pub fn start() -> Self {
        let node = |_| {
            // The usual bus port, ten thousand above, may lie beyond the last port.
            let bus = free_port().to_string();
            RedisServer::start_with(&[("cluster-enabled", "yes"), ("cluster-port", &bus), ("cluster-node-timeout", "2000")])
        };
        let nodes: Vec<RedisServer> = (0..3).map(node).collect();
        let buses: Vec<String> = nodes.iter().map(|node| node.option("cluster-port")).collect();
        for (node, (first, last)) in nodes.iter().zip([(0, 5_460), (5_461, 10_922), (10_923, 16_383)]) {
            node.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
        }
        for (node, bus) in nodes.iter().zip(&buses).skip(1) {
            nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string(), bus]);
        }
        let agreed = |node: &RedisServer| {
            let info = node.command(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok")
                && info.contains("cluster_known_nodes:3")
                && info.contains("cluster_slots_assigned:16384")
        };
        wait_until("the nodes know one another", || nodes.iter().all(agreed));
        Self { nodes }
    }

    /// Its address as Stentor's configuration wants it.
    pub fn url(&self) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+cluster://{}", nodes.join(","))
    }

    /// Moves the slot of `key`, with all that is in it, to another node, as an operator would while everything runs.
    pub fn move_slot_of(&self, key: &str) {
        let slot: u64 = self.nodes[0].query(&["CLUSTER", "KEYSLOT", key]);
        let from = [5_461, 10_923, 16_384].iter().position(|end| slot < *end).expect("there are 16,384 slots");
        let (from, to) = (&self.nodes[from], &self.nodes[(from + 1) % 3]);
        let id = |node: &RedisServer| node.query::<String>(&["CLUSTER", "MYID"]);
        let slot = slot.to_string();
        to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
        from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
        loop {
            let keys: Vec<String> = from.query(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
            if keys.is_empty() {
                break;
            }
            let port = to.port().to_string();
            let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            migrate.extend(keys.iter().map(String::as_str));
            from.command(&migrate);
        }
        for node in std::iter::once(to).chain(self.nodes.iter().filter(|node| node.port() != to.port())) {
            node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &id(to)]);
        }
    }

    /// The nodes.
    pub fn nodes(&mut self) -> &mut [RedisServer] {
        &mut self.nodes
    }
}

/// A master, its replica, and a Sentinel that makes the replica master when the master is gone. Stopped when dropped.
#[derive(Debug)]
pub struct RedisSentinel {
    master: RedisServer,
    replica: RedisServer,
    sentinel: Child,
    port: u16,
    _data: TempDir,
}

impl RedisSentinel {
    /// Starts all three, and waits until the Sentinel knows the replica.
    pub fn start() -> Self {
        let master = RedisServer::start();
        let replica = RedisServer::start_with(&[("replicaof", &format!("127.0.0.1 {}", master.port()))]);
        let (port, data) = (free_port(), tempfile::tempdir().expect("a directory for the Sentinel"));
        let conf = format!(
            "bind 127.0.0.1\nport {port}\ndir {}\nsentinel monitor main 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n",
            data.path().display(),
            master.port(),
        );
        let path = data.path().join("sentinel.conf");
        std::fs::write(&path, conf).expect("the Sentinel's configuration is written");
        let mut command = Command::new("redis-server");
        command.arg(&path).arg("--sentinel").stdin(Stdio::null()).stdout(Stdio::null());
        let sentinel = command.spawn().expect("redis-server is installed: `make test-deps` installs it");
        let this = Self { master, replica, sentinel, port, _data: data };
        wait_until("the Sentinel knows the replica", || {
            this.replica.command(&["ROLE"]).contains("connected")
                && ask(port, &["SENTINEL", "REPLICAS", "main"])
                    .is_some_and(|replicas| replicas.contains(&this.replica.port().to_string()))
        });
        this
    }

    /// Its address as Stentor's configuration wants it.
    pub fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/main", self.port)
    }

    /// The server that was the master at first.
    pub fn first_master(&mut self) -> &mut RedisServer {
        &mut self.master
    }

    /// True once the Sentinel names the replica as the master.
    pub fn has_failed_over(&self) -> bool {
        ask(self.port, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"])
            .is_some_and(|address| address.contains(&self.replica.port().to_string()))
    }

    /// The server that becomes the master.
    pub fn replica(&self) -> &RedisServer {
        &self.replica
    }
}

impl Drop for RedisSentinel {
    fn drop(&mut self) {
        let _ = self.sentinel.kill();
        let _ = self.sentinel.wait();
    }
}

fn ask(port: u16, words: &[&str]) -> Option<String> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).ok()?;
    let mut conn = client.get_connection_with_timeout(Duration::from_millis(500)).ok()?;
    let mut cmd = redis::cmd(words[0]);
    words[1..].iter().for_each(|word| {
        cmd.arg(*word);
    });
    cmd.query::<redis::Value>(&mut conn).ok().map(|value| format!("{value:?}"))
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20)); // servers that get to know one another give no event to wait for
    }
}
