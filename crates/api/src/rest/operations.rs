//! For operators and the machines that watch: alive, ready, metrics.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use stentor_inbox::Presence;
use utoipa::ToSchema;

use super::problems::Problems;
use crate::{
    auth::{Key, Read},
    problem::ApiError,
    state::ApiState,
};

/// The longest that one dependency may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Is the process alive?
#[utoipa::path(get, path = "/livez", tag = "operations", responses((status = 200, body = String)))]
pub(crate) async fn live() -> &'static str {
    "ok"
}

/// Whether each dependency answers.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Readiness {
    /// Whether requests can be accepted: Redis answers. Without SQL what was accepted waits, and nothing is lost.
    ready: bool,
    /// `ok`, or what is wrong, by name.
    dependencies: BTreeMap<String, String>,
}

/// Can it accept requests? Each dependency by name.
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub(crate) async fn ready(State(state): State<ApiState>) -> (StatusCode, Json<Readiness>) {
    let mut connection = state.redis.clone();
    let ping = async { redis::cmd("PING").query_async::<String>(&mut connection).await.map(drop).map_err(|e| e.to_string()) };
    let (redis, sql) = tokio::join!(
        tokio::time::timeout(PATIENCE, ping),
        tokio::time::timeout(PATIENCE, async { state.archive.ping().await.map_err(|e| e.to_string()) }),
    );
    let words = |result: Result<Result<(), String>, _>| match result {
        Ok(Ok(())) => "ok".to_owned(),
        Ok(Err(error)) => error,
        Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
    };
    let (redis, sql) = (words(redis), words(sql));
    let ready = redis == "ok";
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let dependencies = [("redis".to_owned(), redis), ("archive".to_owned(), sql)].into();
    (status, Json(Readiness { ready, dependencies }))
}

/// Who is connected.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PresenceView {
    /// Connections over WebSocket, server-sent events and polls that wait, of all gateways.
    connections: u64,
    /// People; who is connected to two gateways counts twice.
    people: u64,
}

/// Count who of this app is connected. A gateway tells it every 5 seconds.
#[utoipa::path(get, path = "/v1/presence", tag = "operations", responses((status = 200, body = PresenceView), Problems))]
pub(crate) async fn presence(State(state): State<ApiState>, key: Key<Read>) -> Result<Json<PresenceView>, ApiError> {
    let Presence { connections, people } = state.presences.count(Some(&key.app)).await?;
    Ok(Json(PresenceView { connections, people }))
}

/// Metrics in Prometheus's text format.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, body = String)))]
pub(crate) async fn metrics(State(state): State<ApiState>) -> impl IntoResponse {
    for queue in std::iter::once(&state.dispatch).chain(&state.outside) {
        let Ok(depth) = queue.depth().await else { continue };
        let name = queue.name().to_owned();
        let lanes =
            [("high", depth.high), ("normal", depth.normal), ("bulk", depth.bulk), ("due", depth.due), ("dead", depth.dead)];
        for (lane, jobs) in lanes {
            metrics::gauge!("stentor_queue_jobs", "queue" => name.clone(), "lane" => lane).set(jobs as f64);
        }
    }
    metrics::gauge!("stentor_sockets").set(state.hub.sockets() as f64);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (state.metrics)())
}
