//! A connection to a Cluster. It sees by itself to nodes that say that they are gone; for those that keep silent it is made anew.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use redis::{
    Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value,
    aio::ConnectionLike,
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    cluster_routing::{RoutingInfo, SingleNodeRoutingInfo},
};
use tokio::time::timeout;

use crate::CONNECT_WITHIN;

/// How long it may take until there is a connection: each node may be the last to be asked.
const MADE_WITHIN: Duration = CONNECT_WITHIN.saturating_mul(5);

/// A connection to a Cluster, shared by its clones.
#[derive(Clone)]
pub struct Cluster(Arc<Kept>);

struct Kept {
    client: ClusterClient,
    current: Mutex<Current>,
}

/// The connection that calls go out on.
struct Current {
    /// Grows with each new one.
    n: u64,
    conn: ClusterConnection,
    /// The next is being made.
    is_renewed: bool,
}

impl Cluster {
    pub(crate) async fn connect(client: ClusterClient) -> RedisResult<Self> {
        let current = Mutex::new(Current { n: 0, conn: make(&client).await?, is_renewed: false });
        Ok(Self(Arc::new(Kept { client, current })))
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self) -> (u64, ClusterConnection) {
        let current = self.current();
        (current.n, current.conn.clone())
    }

    /// Sees to another connection if a node kept silent. This one serves until then: its other nodes answer.
    fn judge<T>(&self, n: u64, result: RedisResult<T>) -> RedisResult<T> {
        if result.as_ref().is_err_and(RedisError::is_timeout) {
            let mut current = self.current();
            if current.n == n && !current.is_renewed {
                current.is_renewed = true;
                tokio::spawn(self.clone().renew());
            }
        }
        result
    }

    async fn renew(self) {
        let made = make(&self.0.client).await;
        let mut current = self.current();
        current.is_renewed = false;
        if let Ok(conn) = made {
            current.n += 1;
            current.conn = conn;
        }
    }

    async fn ask(&self, cmd: &Cmd) -> RedisResult<Value> {
        let (n, mut conn) = self.get();
        let result = if is_of_a_server(cmd) {
            conn.route_command(cmd.clone(), RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random)).await
        } else {
            conn.req_packed_command(cmd).await
        };
        self.judge(n, result)
    }
}

async fn make(client: &ClusterClient) -> RedisResult<ClusterConnection> {
    let made = timeout(MADE_WITHIN, client.get_async_connection()).await;
    made.unwrap_or_else(|_| Err(RedisError::from(io::Error::from(io::ErrorKind::TimedOut))))
}

/// True for what is asked of a server and not of a key. Each node of a Cluster would answer.
fn is_of_a_server(cmd: &Cmd) -> bool {
    cmd.args_iter().next().is_some_and(|name| matches!(name, redis::Arg::Simple(b"INFO" | b"PING" | b"TIME")))
}

impl ConnectionLike for Cluster {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(self.ask(cmd))
    }

    /// A pipeline in a Cluster: its commands go to the nodes of their keys, all at once.
    ///
    /// A transaction is never asked for here: what must happen together is in a script.
    fn req_packed_commands<'a>(&'a mut self, pipeline: &'a Pipeline, _: usize, _: usize) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move { join_all(pipeline.cmd_iter().map(|cmd| self.ask(cmd))).await.into_iter().collect() })
    }

    fn get_db(&self) -> i64 {
        0
    }
}
