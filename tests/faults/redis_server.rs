//! Faults of Redis.

use std::time::Duration;

use serde_json::json;
use stentor_tests::serve::signal;

use crate::{
    Row, Scale,
    load::{Load, mixed},
    sinks::check,
    stack::Stack,
};

pub async fn killed(scale: Scale) -> Row {
    let (count, kills) = scale.of((3_000, 3), (40_000, 20));
    let mut stack = Stack::start(&["api,gateway", "worker"]).await;
    let mut load = Load::begin(&stack.api, count, mixed, json!({}));
    for n in 1..=kills {
        load.reached(count * n / (kills + 1)).await;
        stack.redis.kill();
        stack.redis.restart();
    }
    load.end().await;
    let mut row = check(&stack, &load).await;
    row.notes.push(format!("{kills} kills"));
    row
}

pub async fn frozen(scale: Scale) -> Row {
    let (count, seconds) = scale.of((2_000, 4), (20_000, 20));
    let stack = Stack::start(&["api,gateway", "worker"]).await;
    let mut load = Load::begin(&stack.api, count, mixed, json!({}));
    load.reached(count / 2).await;
    signal(stack.redis.pid(), "STOP");
    tokio::time::sleep(Duration::from_secs(seconds)).await; // the fault itself
    signal(stack.redis.pid(), "CONT");
    load.end().await;
    let mut row = check(&stack, &load).await;
    row.notes.push(format!("{seconds} s"));
    row
}

pub async fn out_of_memory(scale: Scale) -> Row {
    let count = scale.of(2_000, 20_000);
    let stack = Stack::start(&["api,gateway", "worker"]).await;
    let mut conn = redis::Client::open(stack.redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut limit = async |bytes: usize| {
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).query_async::<()>(&mut conn).await.unwrap();
    };
    let mut load = Load::begin(&stack.api, count, mixed, json!({"priority": "high"}));
    for part in 1..4 {
        load.reached(count * part / 4).await;
        limit(1).await;
        tokio::time::sleep(Duration::from_secs(1)).await; // the fault itself
        limit(0).await;
    }
    load.end().await;
    check(&stack, &load).await
}

/// Everything is scheduled for the same moment.
pub async fn due_at_once(scale: Scale) -> Row {
    let (count, seconds) = scale.of((3_000, 4), (50_000, 40));
    let stack = Stack::start(&["api,gateway", "worker"]).await;
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + seconds;
    let at = format!("@{at}");
    let utc = std::process::Command::new("date").args(["-u", "-d", &at, "+%Y-%m-%dT%H:%M:%SZ"]).output().unwrap();
    let at = String::from_utf8(utc.stdout).unwrap().trim().to_owned();
    let mut load = Load::begin(&stack.api, count, mixed, json!({"send_at": at}));
    load.end().await;
    check(&stack, &load).await
}
