//! What operators see: health, metrics, the description of the API, an orderly end.

use reqwest::Method;
use serde_json::json;
use stentor_tests::{Dev, device::Device};

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
