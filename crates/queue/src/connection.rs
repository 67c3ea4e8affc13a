//! Connections to Redis as queues need them.

use std::time::Duration;

use redis::{
    Client, IntoConnectionInfo,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use crate::QueueError;

/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// How long an answer may take. The crate's own 500 ms would end calls that a busy Redis answers a moment later.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

fn config() -> ConnectionManagerConfig {
    // One try a call: who calls is told at once, and tries again in their own time.
    ConnectionManagerConfig::new().set_connection_timeout(Some(CONNECT_WITHIN)).set_number_of_retries(1)
}

/// A shared connection for everything that does not block; it reconnects by itself.
pub async fn connect(url: &str) -> Result<ConnectionManager, QueueError> {
    let config = config().set_response_timeout(Some(ANSWER_WITHIN));
    Ok(Client::open(url)?.get_connection_manager_with_config(config).await?)
}

/// A connection for one reader that blocks: nobody else's calls may wait behind it, and its answers may take their time.
pub async fn connect_blocking(url: &str) -> Result<ConnectionManager, QueueError> {
    let config = config().set_response_timeout(None);
    Ok(Client::open(url)?.get_connection_manager_with_config(config).await?)
}

/// A client that speaks RESP3, which pub/sub needs.
pub fn resp3_client(url: &str) -> Result<Client, QueueError> {
    let info = url.into_connection_info()?;
    let redis = info.redis_settings().clone().set_protocol(redis::ProtocolVersion::RESP3);
    Ok(Client::open(info.set_redis_settings(redis))?)
}
