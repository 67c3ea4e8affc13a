//! A push to one person: their item is written in the round trip that accepts it.

use serde_json::json;
use stentor_tests::{Dev, device::Device, eventually, is_archived};

const PUSHES: u32 = 200;

#[tokio::test]
async fn a_push_to_one_person_takes_four_scripts_and_its_content_is_there_with_the_frame() {
    let dev = Dev::start();
    let mut redis = redis::Client::open(dev.text("redis_url")).unwrap().get_multiplexed_async_connection().await.unwrap();
    let push = async |n: u32| {
        let content = json!({"title": format!("No. {n}"), "body_markdown": "All of it."});
        dev.api.send(&json!({"audience": {"recipients": ["eve"]}, "content": content})).await
    };
    push(1).await; // who is written to for the first time is asked for on record
    let mut scripts = async || {
        eventually("all is on record", async || is_archived(&mut redis).await.unwrap().then_some(())).await;
        let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut redis).await.unwrap();
        let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")?.split(',').next()?.parse().ok());
        f64::from(calls.unwrap_or(0_u32))
    };
    let before = scripts().await;
    for n in 2..=PUSHES {
        push(n).await;
    }
    let each = (scripts().await - before) / f64::from(PUSHES);
    assert!(each < 4.5, "{each}: submit, write, note the facts, end the job; and what runs besides");

    let (mut device, _) = Device::open(&dev.api.url, &dev.api.token("eve").await, None).await;
    for _ in 0..10 {
        let id = push(PUSHES + 1).await;
        assert_eq!(device.next("item").await["item"]["id"], id);
        device.send(&json!({"type": "open", "ref": "1", "id": id})).await;
        let content = device.until("content").await;
        assert!(content["item"]["body_text"].as_str().unwrap().contains("All of it."), "{content}");
        device.until("state").await;
    }
}
