//! A connection to one server, made anew once it is dead.
//!
//! Dead is also what keeps silent: a machine that froze, or something on the way that lost the connection and tells nobody.
//! Whoever gets no answer in time lets go of the connection that the call went out on, and the next call makes another; what
//! else is under way on it goes on waiting. A Redis that is merely slow meets no storm of them: one is made at a time, all wait
//! for the same, and it is let go of for silence no sooner than an answer could have come.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use redis::{
    AsyncConnectionConfig, Client, Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    sentinel::SentinelClient,
};
use tokio::time::timeout;

use crate::CONNECT_WITHIN;

/// How long it may take until there is a connection. Several Sentinels are asked in turn; a host that is gone must not hold up
/// everybody.
const MADE_WITHIN: Duration = CONNECT_WITHIN.saturating_mul(5);

/// Where the server is.
pub(crate) enum Source {
    /// Always there.
    Node(Client),
    /// Where Sentinel says: it is asked for each connection.
    Sentinel(tokio::sync::Mutex<SentinelClient>),
}

/// A connection to one server, shared by its clones.
#[derive(Clone)]
pub struct Server(Arc<Kept>);

struct Kept {
    source: Arc<Source>,
    config: AsyncConnectionConfig,
    current: Mutex<Current>,
}

/// The connection that calls go out on.
#[derive(Default)]
struct Current {
    /// Grows with each new one.
    n: u64,
    /// Made, or being made.
    made: Option<Making>,
}

type Making = Shared<BoxFuture<'static, RedisResult<MultiplexedConnection>>>;

impl Server {
    pub(crate) async fn connect(source: Source, answer_within: Duration) -> RedisResult<Self> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_WITHIN)).set_response_timeout(Some(answer_within));
        let server = Self(Arc::new(Kept { source: Arc::new(source), config, current: Mutex::default() }));
        server.get().await?;
        Ok(server)
    }

    async fn get(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        let (n, making) = self.making();
        match making.await {
            Ok(conn) => Ok((n, conn)),
            Err(error) => {
                self.let_go(n);
                Err(error)
            }
        }
    }

    fn making(&self) -> (u64, Making) {
        let mut current = self.current();
        if let Some(making) = &current.made {
            return (current.n, making.clone());
        }
        let making = self.make();
        *current = Current { n: current.n + 1, made: Some(making.clone()) };
        (current.n, making)
    }

    /// Begins a connection. It is made even if whoever waits for it gives up.
    fn make(&self) -> Making {
        let (source, config) = (self.0.source.clone(), self.0.config.clone());
        let making = async move {
            let made = async {
                match &*source {
                    Source::Node(client) => client.get_multiplexed_async_connection_with_config(&config).await,
                    Source::Sentinel(client) => client.lock().await.get_async_connection_with_config(&config).await,
                }
            };
            timeout(MADE_WITHIN, made).await.unwrap_or_else(|_| Err(RedisError::from(io::Error::from(io::ErrorKind::TimedOut))))
        };
        let making = making.boxed().shared();
        tokio::spawn(making.clone());
        making
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of a connection that failed, or whose server is no master any more.
    fn judge<T>(&self, n: u64, result: RedisResult<T>) -> RedisResult<T> {
        if let Err(error) = &result
            && (error.is_unrecoverable_error() || error.is_io_error() || self.is_no_master(error))
        {
            self.let_go(n);
        }
        result
    }

    fn let_go(&self, n: u64) {
        let mut current = self.current();
        if current.n == n {
            current.made = None;
        }
    }

    /// True if Sentinel may know another.
    fn is_no_master(&self, error: &RedisError) -> bool {
        let codes = ["READONLY", "MASTERDOWN", "LOADING"];
        matches!(*self.0.source, Source::Sentinel(_))
            && error
                .clone()
                .into_server_errors()
                .is_some_and(|errors| errors.iter().any(|(_, error)| codes.contains(&error.code())))
    }
}

impl ConnectionLike for Server {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let (n, mut conn) = self.get().await?;
            let result = conn.req_packed_command(cmd).await;
            self.judge(n, result)
        })
    }

    fn req_packed_commands<'a>(&'a mut self, pipeline: &'a Pipeline, offset: usize, count: usize) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let (n, mut conn) = self.get().await?;
            let result = conn.req_packed_commands(pipeline, offset, count).await;
            self.judge(n, result)
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}
