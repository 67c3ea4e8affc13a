//! The archive is away.

use serde_json::json;

use crate::{
    Row, Scale,
    load::{Load, mixed},
    sinks::check,
    stack::Stack,
};

/// PostgreSQL is down while most is sent. People have inboxes by then, or nothing could be written for them.
pub async fn down(scale: Scale) -> Row {
    let count = scale.of(3_000, 50_000);
    let mut stack = Stack::start(&["api,gateway", "worker"]).await;
    let mut load = Load::begin(&stack.api, count, mixed, json!({}));
    load.reached(count / 10).await;
    stack.postgres.kill();
    load.end().await;
    stack.postgres.restart();
    check(&stack, &load).await
}
