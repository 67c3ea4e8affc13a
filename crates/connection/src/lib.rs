//! Connections to Redis, wherever it is: one node, the master that Sentinel names, or a Cluster.
//!
//! | URL | is |
//! | --- | --- |
//! | `redis://user:password@host:6379/0` | one node (`rediss://` and `unix://` likewise) |
//! | `redis+sentinel://user:password@host:26379,host:26379/NAME` | the master of that name; user and password are the master's |
//! | `redis+cluster://user:password@host:6379,host:6379` | a Cluster, found through any of these nodes |
//!
//! A [`Connection`] is cheap to clone and reconnects by itself. A call is tried once: who calls is told at once that Redis
//! is away, and tries again in their own time. Whatever was sent may have happened all the same.

mod call;
mod cluster;
mod gathering;
pub mod lua;
mod place;
mod server;
mod words;

use std::time::Duration;

use futures_util::future::join_all;
use redis::{
    AsyncConnectionConfig, Client, Cmd, Pipeline, PushInfo, RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo},
    sentinel::{Sentinel, SentinelClient, SentinelServerType},
};
use tokio::sync::mpsc::UnboundedSender;

pub use call::Call;
pub use cluster::Cluster;
pub use gathering::{CallsAtOnce, Gathering, Turn, broken_off};
pub use place::{BadUrl, Place};
pub use server::Server;
use server::Source;
pub use words::Words;

/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// How long an answer may take. The crate's own 500 ms would end calls that a busy Redis answers a moment later.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How often a call to a Cluster is tried: it may be told that a slot lives elsewhere now.
const CLUSTER_RETRIES: u32 = 3;

/// A connection, shared by its clones.
#[derive(Clone)]
pub enum Connection {
    /// To one server: a node, or the master that Sentinel names.
    Server(Server),
    /// To a Cluster.
    Cluster(Cluster),
}

impl Place {
    /// A shared connection for everything that does not block.
    pub async fn connect(&self) -> RedisResult<Connection> {
        self.open(ANSWER_WITHIN).await
    }

    /// A connection for one reader that blocks: nobody else's calls may wait behind it. Its reads wait for up to `block`; a
    /// server that says nothing for longer is taken for dead, as by any other call.
    pub async fn connect_blocking(&self, block: Duration) -> RedisResult<Connection> {
        self.open(block + ANSWER_WITHIN).await
    }

    async fn open(&self, answer_within: Duration) -> RedisResult<Connection> {
        let source = match self {
            Self::Node(info) => Source::Node(Client::open(info.clone())?),
            Self::Sentinel { nodes, name, settings } => {
                let master = SentinelServerType::Master;
                Source::Sentinel(SentinelClient::build(nodes.clone(), name.clone(), Some(settings.clone()), master)?.into())
            }
            Self::Cluster(nodes) => {
                let client = ClusterClient::builder(nodes.clone())
                    .tcp_settings(place::tcp())
                    .connection_timeout(CONNECT_WITHIN)
                    .response_timeout(answer_within)
                    .retries(CLUSTER_RETRIES)
                    .build()?;
                return Ok(Connection::Cluster(Cluster::connect(client).await?));
            }
        };
        Ok(Connection::Server(Server::connect(source, answer_within).await?))
    }

    /// A connection that hears what is published; every push goes to `pushes`. To be asked for again at each connection: with
    /// Sentinel the master may be another one.
    pub async fn subscriber(&self, patience: Duration, pushes: UnboundedSender<PushInfo>) -> RedisResult<Subscriber> {
        let resp3 = redis::ProtocolVersion::RESP3; // pub/sub needs it
        let info = match self {
            Self::Node(info) => info.clone(),
            Self::Sentinel { nodes, name, settings } => {
                let master = Sentinel::build(nodes.clone())?.async_master_for(name, Some(settings)).await?;
                master.get_connection_info().clone()
            }
            Self::Cluster(nodes) => {
                let client = ClusterClient::builder(nodes.clone())
                    .tcp_settings(place::tcp())
                    .use_protocol(resp3)
                    .connection_timeout(patience)
                    .response_timeout(patience)
                    .retries(CLUSTER_RETRIES)
                    .push_sender(pushes)
                    .build()?;
                return Ok(Subscriber::Cluster(client.get_async_connection().await?));
            }
        };
        let redis = info.redis_settings().clone().set_protocol(resp3);
        let config = AsyncConnectionConfig::new()
            .set_push_sender(pushes)
            .set_connection_timeout(Some(patience))
            .set_response_timeout(Some(patience));
        let client = Client::open(info.set_redis_settings(redis))?;
        Ok(Subscriber::Node(client.get_multiplexed_async_connection_with_config(&config).await?))
    }
}

/// A connection that hears what is published. In a Cluster it is to the nodes that have the channels' slots, and what is
/// published stays on these (sharded pub/sub): what is heard by a few gateways costs the other nodes nothing.
pub enum Subscriber {
    /// To one node.
    Node(MultiplexedConnection),
    /// To a Cluster.
    Cluster(ClusterConnection),
}

impl Subscriber {
    /// Subscribes to channels; returns once that is confirmed.
    pub async fn subscribe(&mut self, channels: &[String]) -> RedisResult<()> {
        match self {
            Self::Node(conn) => conn.subscribe(channels).await,
            Self::Cluster(conn) => {
                // Each has a slot of its own, and a command is for one slot.
                let each = channels.iter().map(|channel| {
                    let mut conn = conn.clone();
                    async move { conn.ssubscribe(channel).await }
                });
                join_all(each).await.into_iter().collect()
            }
        }
    }

    /// Ends a subscription.
    pub async fn unsubscribe(&mut self, channel: &str) -> RedisResult<()> {
        match self {
            Self::Node(conn) => conn.unsubscribe(channel).await,
            Self::Cluster(conn) => conn.sunsubscribe(channel).await,
        }
    }

    /// Asks every node for a sign of life.
    pub async fn ping(&mut self) -> RedisResult<()> {
        let ping = redis::cmd("PING");
        match self {
            Self::Node(conn) => conn.req_packed_command(&ping).await.map(drop),
            Self::Cluster(conn) => {
                let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                conn.route_command(ping, all).await.map(drop)
            }
        }
    }
}

impl Connection {
    /// True if keys of any two hash tags lie on one node, so that a script may have both.
    pub fn is_one_node(&self) -> bool {
        !matches!(self, Self::Cluster(_))
    }

    /// The command that publishes to [`Subscriber`]s, for scripts.
    pub fn publishing(&self) -> &'static str {
        match self {
            Self::Server(_) => "PUBLISH",
            Self::Cluster(_) => "SPUBLISH",
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(conn) => conn.req_packed_command(cmd),
            Self::Cluster(conn) => conn.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(&'a mut self, pipeline: &'a Pipeline, offset: usize, count: usize) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(conn) => conn.req_packed_commands(pipeline, offset, count),
            Self::Cluster(conn) => conn.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        0
    }
}
