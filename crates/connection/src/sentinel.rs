//! The master that Sentinel names: asked for again whenever the connection to it fails.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Cmd, ConnectionInfo, Pipeline, RedisError, RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    sentinel::{Sentinel, SentinelClient, SentinelNodeConnectionInfo, SentinelServerType},
};

/// A connection to the present master.
#[derive(Clone)]
pub struct SentinelMaster(Arc<Shared>);

struct Shared {
    client: tokio::sync::Mutex<SentinelClient>,
    config: AsyncConnectionConfig,
    /// The connection, and a number that grows with each new one.
    current: Mutex<(u64, Option<MultiplexedConnection>)>,
    connect_within: Duration,
}

impl SentinelMaster {
    pub(crate) async fn connect(
        nodes: &[ConnectionInfo],
        name: &str,
        settings: &SentinelNodeConnectionInfo,
        connect_within: Duration,
        answer_within: Duration,
    ) -> RedisResult<Self> {
        let client = SentinelClient::build(nodes.to_vec(), name.to_owned(), Some(settings.clone()), SentinelServerType::Master)?;
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(connect_within)).set_response_timeout(Some(answer_within));
        let shared = Shared { client: client.into(), config, current: Mutex::new((0, None)), connect_within };
        let master = Self(Arc::new(shared));
        master.get().await?;
        Ok(master)
    }

    async fn get(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        if let (n, Some(conn)) = self.current() {
            return Ok((n, conn));
        }
        let mut client = self.0.client.lock().await; // one asks, the others wait for the answer
        if let (n, Some(conn)) = self.current() {
            return Ok((n, conn));
        }
        // Several Sentinels are asked in turn; a host that is gone must not hold up everybody.
        let asked =
            tokio::time::timeout(self.0.connect_within * 5, client.get_async_connection_with_config(&self.0.config)).await;
        let conn = asked.map_err(|_| RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut)))??;
        let mut current = self.0.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = (current.0 + 1, Some(conn.clone()));
        Ok((current.0, conn))
    }

    fn current(&self) -> (u64, Option<MultiplexedConnection>) {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets go of a connection that failed, or whose server is no master any more.
    fn judge<T>(&self, n: u64, result: RedisResult<T>) -> RedisResult<T> {
        if let Err(error) = &result
            && (error.is_unrecoverable_error() || error.is_io_error() || error.is_timeout() || is_no_master(error))
        {
            let mut current = self.0.current.lock().unwrap_or_else(PoisonError::into_inner);
            if current.0 == n {
                current.1 = None;
            }
        }
        result
    }
}

fn is_no_master(error: &RedisError) -> bool {
    let codes = ["READONLY", "MASTERDOWN", "LOADING"];
    error.clone().into_server_errors().is_some_and(|errors| errors.iter().any(|(_, error)| codes.contains(&error.code())))
}

impl ConnectionLike for SentinelMaster {
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

/// The address of the present master, with its login.
pub(crate) async fn master(
    nodes: &[ConnectionInfo],
    name: &str,
    settings: &SentinelNodeConnectionInfo,
) -> RedisResult<ConnectionInfo> {
    let client = Sentinel::build(nodes.to_vec())?.async_master_for(name, Some(settings)).await?;
    Ok(client.get_connection_info().clone())
}
