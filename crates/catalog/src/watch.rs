//! Hears of pointers that other processes moved.

use std::{sync::Arc, time::Duration};

use redis::{PushKind, RedisResult};
use stentor_connection::Place;
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::live::Live;

/// The channel on which an app's id is published when one of its pointers moved.
pub(crate) const CHANNEL: &str = "stentor:templates";
/// How long an answer of Redis may take, and how often a silent connection is asked for a sign of life.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause between two attempts to reach Redis.
const PAUSE: Duration = Duration::from_secs(1);

/// Listens until `stop`. What is published while Redis is away is lost: after each connection everything is asked for anew.
pub(crate) async fn watch(place: Place, live: Arc<Live>, stop: CancellationToken) {
    loop {
        let listening = async {
            if let Err(error) = listen(&place, &live).await {
                tracing::debug!(%error, "published templates are not heard of; they are looked for");
            }
            sleep(PAUSE).await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = listening => {}
        }
    }
}

async fn listen(place: &Place, live: &Live) -> RedisResult<()> {
    let (tx, mut pushes) = mpsc::unbounded_channel();
    let mut conn = place.subscriber(PATIENCE, tx).await?;
    conn.subscribe(&[CHANNEL.to_owned()]).await?;
    live.forget_all();
    loop {
        match tokio::time::timeout(PATIENCE, pushes.recv()).await {
            Err(_) => conn.ping().await?,
            Ok(None) => return Ok(()),
            Ok(Some(push)) if matches!(push.kind, PushKind::Disconnection | PushKind::SUnsubscribe) => return Ok(()),
            Ok(Some(push)) if matches!(push.kind, PushKind::Message | PushKind::SMessage) => {
                let app = push.data.into_iter().nth(1).and_then(|value| redis::from_redis_value::<String>(value).ok());
                match app.and_then(|app| app.parse().ok()) {
                    Some(app) => live.forget(&app),
                    None => live.forget_all(),
                }
            }
            Ok(Some(_)) => {}
        }
    }
}
