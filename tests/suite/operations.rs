//! What operators see: health, metrics, the description of the API, an orderly end, who gives way to whom.

use reqwest::Method;
use serde_json::json;
use stentor_testkit::RedisServer;
use stentor_tests::{
    Dev,
    device::Device,
    eventually,
    serve::{Process, settings, sqlite},
};

#[tokio::test]
async fn it_is_alive_ready_measured_and_described() {
    let mut dev = Dev::start();
    assert_eq!(dev.api.get("/livez").await, "ok");
    assert_eq!(dev.api.get("/readyz").await, json!({"ready": true, "dependencies": {"redis": "ok", "archive": "ok"}}));
    let id = dev.api.send(&json!({"audience": {"recipients": ["u1"]}, "content": {"title": "x"}})).await;
    dev.api.completed(&id).await;
    let metrics = dev.api.get("/metrics").await;
    for name in
        ["stentor_notifications_accepted_total", "stentor_deliveries_total", "stentor_queue_jobs", "stentor_http_request_seconds"]
    {
        assert!(metrics.as_str().unwrap().contains(name), "{name} is missing in {metrics}");
    }
    let description = dev.api.get("/openapi.json").await;
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    let send = &description["paths"]["/v1/notifications"]["post"];
    assert_eq!(send["requestBody"]["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/NotificationRequest");
    for path in ["/demo", "/outbox", "/docs", "/demo.js", "/style.css"] {
        let response = dev.api.request(Method::GET, path).send().await.unwrap();
        assert!(response.status().is_success(), "{path}");
        assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("script-src 'self'"), "{path}");
    }
    let (mut device, _) = Device::open(&dev.api.url, &dev.api.token("u1").await, None).await;
    let ended = tokio::task::spawn_blocking(move || dev.stop());
    assert!(device.next("bye").await["reconnect_after_ms"].is_u64());
    assert_eq!(device.closed().await, 1012);
    assert_eq!(ended.await.unwrap(), Some(0));
}

/// The niceness of the threads of a process whose name begins so.
fn niceness(pid: u32, name: &str) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let of = |stat: String| {
        let (begin, rest) = stat.rsplit_once(')')?;
        let is_it = begin.split_once('(')?.1.starts_with(name);
        is_it.then(|| rest.split_whitespace().nth(16)?.parse().ok()).flatten()
    };
    stats.filter_map(of).collect()
}

#[tokio::test]
async fn what_archives_gives_way_and_its_sqlite_with_it() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let process = Process::start(&settings(&redis.url(), &sqlite(&dir), &[])).await;
    eventually("a thread of SQLite that gives way", async || niceness(process.pid(), "sqlx-sqlite").contains(&5).then_some(()))
        .await;
    assert!(niceness(process.pid(), "sockets").iter().all(|nice| *nice == 0), "those who push do not");
}
