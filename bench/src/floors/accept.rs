//! Accepting with nothing but what must be: axum reads the request, serde its fields, one XADD keeps it, 202 tells its id. Calls that
//! wait at the same time share a round trip, since the connection is multiplexed.

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Deserialize, Serialize)]
struct Request {
    audience: Audience,
    channels: Vec<String>,
    content: Content,
}

#[derive(Deserialize, Serialize)]
struct Audience {
    recipients: Vec<String>,
}

#[derive(Deserialize, Serialize)]
struct Content {
    title: String,
    summary: String,
}

#[derive(Deserialize)]
struct Batch {
    notifications: Vec<Request>,
}

#[derive(Serialize)]
struct Accepted {
    id: Uuid,
    status: &'static str,
}

#[derive(Serialize)]
struct Results {
    results: Vec<Accepted>,
}

/// Writes to the Redis at `url`.
pub(crate) async fn router(url: &str) -> Router {
    let client = redis::Client::open(url).expect("an address");
    let redis = client.get_multiplexed_async_connection().await.expect("Redis answers");
    Router::new().route("/one", post(one)).route("/batch", post(batch)).with_state(redis)
}

async fn one(State(redis): State<MultiplexedConnection>, body: Bytes) -> Response {
    let Ok(_) = serde_json::from_slice::<Request>(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    let accepted = accepted();
    match keep(redis, &accepted.id, &body).await {
        Ok(()) => (StatusCode::ACCEPTED, Json(accepted)).into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn batch(State(redis): State<MultiplexedConnection>, body: Bytes) -> Response {
    let Ok(batch) = serde_json::from_slice::<Batch>(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    let results: Vec<_> = batch.notifications.iter().map(|_| accepted()).collect();
    match keep(redis, &results[0].id, &body).await {
        Ok(()) => {
            let json = serde_json::to_vec(&Results { results }).expect("plain values");
            (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "application/json")], json).into_response()
        }
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn accepted() -> Accepted {
    Accepted { id: Uuid::now_v7(), status: "accepted" }
}

async fn keep(mut redis: MultiplexedConnection, id: &Uuid, body: &[u8]) -> redis::RedisResult<()> {
    let mut add = redis::cmd("XADD");
    add.arg("floor").arg("*").arg("i").arg(id.as_bytes()).arg("d").arg(body);
    add.query_async(&mut redis).await
}
