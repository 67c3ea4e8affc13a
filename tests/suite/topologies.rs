//! Redis as a Cluster, and behind Sentinel: the same promises, and a failover that nobody has to know of.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stentor_testkit::{RedisCluster, RedisSentinel, RedisServer};
use stentor_tests::{
    device::Device,
    eventually,
    serve::{Process, Serve, settings, sqlite},
};

/// To people whose inboxes lie in many slots.
fn to_many(title: &str) -> Value {
    let people: Vec<Value> = (0..30).map(|n| json!({"id": format!("p{n}"), "email": format!("p{n}@example.com")})).collect();
    json!({"audience": {"recipients": people}, "content": {"title": title, "body_markdown": "Words"}, "channels": ["inbox", "email"]})
}

/// `None`: a node does not answer just now.
async fn unread(serve: &Serve, person: &str) -> Option<u64> {
    let token = serve.api.token(person).await;
    let (_, answer) = serve.api.as_person(Method::GET, "/v1/inbox/unread", &token, None).await;
    answer["unread"].as_u64()
}

/// Mail that is captured in `dir`.
fn outbox(dir: &tempfile::TempDir) -> String {
    format!("capture:{}", dir.path().join("mail").display())
}

async fn start(redis: &str, dir: &tempfile::TempDir) -> Serve {
    let mail = [
        ("STENTOR__EMAIL__PROVIDERS", "main"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__URL", &outbox(dir)),
        ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "no-reply@example.com"),
    ];
    Serve::start(redis, &sqlite(dir), &mail).await
}

#[tokio::test]
async fn in_a_cluster_everything_works_that_works_on_one_node() {
    let (mut cluster, dir) = (RedisCluster::start(), tempfile::tempdir().unwrap());
    let serve = start(&cluster.url(), &dir).await;
    let token = serve.api.token("p7").await;
    let (mut device, _) = Device::open(&serve.api.url, &token, None).await;
    let first = serve.api.send(&to_many("First")).await;
    assert_eq!(device.until("item").await["item"]["title"], "First");
    let view = serve.api.completed(&first).await;
    assert_eq!(
        (&view["counts"]["email"]["sent"], view["counts"]["inbox"].as_object().unwrap().len() <= 2),
        (&json!(30), true),
        "{view}"
    );
    for person in 0..30 {
        assert_eq!(unread(&serve, &format!("p{person}")).await, Some(1), "p{person}");
    }
    // A batch, an idempotency key, and a device that opens.
    let batch = json!({"notifications": [to_many("Second"), to_many("Third")]});
    let (status, answer) = serve.api.post("/v1/notifications/batch", &batch).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    for result in answer["results"].as_array().unwrap() {
        serve.api.completed(result["id"].as_str().unwrap()).await;
    }
    device.send(&json!({"type": "open", "id": first, "ref": "1"})).await;
    assert!(device.until("content").await.to_string().contains("Words"));
    eventually("opened, it is read", async || (unread(&serve, "p7").await == Some(2)).then_some(())).await;
    // A broadcast, and its withdrawal.
    let news = serve.api.send(&json!({"audience": "everyone", "content": {"title": "News"}})).await;
    assert_eq!(device.until("item").await["item"]["id"], json!(news));
    assert_eq!(unread(&serve, "p8").await, Some(4));
    let (status, _) = serve.api.post(&format!("/v1/notifications/{news}/recall"), &json!(null)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(device.until("state").await["change"], "recalled");
    assert_eq!(unread(&serve, "p8").await, Some(3));
    // Each node holds a part.
    for node in cluster.nodes() {
        assert_ne!(node.command(&["DBSIZE"]), "int(0)");
    }
    // A second gateway, and a person whose slot moves: both are told, by sharded channels.
    let other = settings(&cluster.url(), &sqlite(&dir), &[("STENTOR__ROLES", "gateway")]);
    let (_, listen) = other.iter().find(|(name, _)| name == "STENTOR__HTTP__LISTEN").unwrap();
    let _other = Process::start(&other).await;
    let (mut there, _) = Device::open(&format!("http://{listen}"), &token, None).await;
    let sharded = |cluster: &mut RedisCluster| {
        let of = |node: &RedisServer| node.query::<Vec<String>>(&["PUBSUB", "SHARDCHANNELS"]);
        cluster.nodes().iter().flat_map(of).filter(|channel| channel.contains(":p7}")).collect::<Vec<_>>()
    };
    let live = sharded(&mut cluster);
    assert_eq!(live.len(), 1, "{live:?}");
    for title in ["Before the move", "After the move"] {
        let own = json!({"audience": {"recipients": ["p7"]}, "content": {"title": title}});
        let own = eventually("a 202", async || {
            let (status, body) = serve.api.post("/v1/notifications", &own).await;
            (status == StatusCode::ACCEPTED).then(|| body["id"].clone())
        })
        .await;
        for device in [&mut device, &mut there] {
            assert_eq!(device.until("item").await["item"]["id"], own, "{title}");
        }
        if title == "Before the move" {
            cluster.move_slot_of(&live[0]);
        }
    }
    // One is lost and comes back.
    cluster.nodes()[1].kill();
    cluster.nodes()[1].restart();
    let last = eventually("a 202 again", async || {
        let (status, body) = serve.api.post("/v1/notifications", &to_many("Fourth")).await;
        (status == StatusCode::ACCEPTED).then(|| body["id"].as_str().unwrap().to_owned())
    })
    .await;
    // Whoever asks a node that is only just back may be told to ask once more.
    eventually("it is completed", async || {
        let (status, body) = stentor_tests::answer(serve.api.request(Method::GET, &format!("/v1/notifications/{last}"))).await;
        assert!(status == StatusCode::OK || status == StatusCode::SERVICE_UNAVAILABLE, "{body}");
        (body["status"] == "completed").then_some(())
    })
    .await;
    eventually("it is everywhere", async || (unread(&serve, "p8").await? >= 4).then_some(())).await;
    for device in [&mut device, &mut there] {
        while device.until("item").await["item"]["id"] != json!(last) {}
    }
}

#[tokio::test]
async fn behind_sentinel_a_failover_loses_nothing_that_was_replicated() {
    let (mut redis, dir) = (RedisSentinel::start(), tempfile::tempdir().unwrap());
    let serve = start(&redis.url(), &dir).await;
    let token = serve.api.token("p7").await;
    let (mut device, _) = Device::open(&serve.api.url, &token, None).await;
    let before = serve.api.send(&to_many("Before")).await;
    serve.api.completed(&before).await;
    assert_eq!(device.until("item").await["item"]["title"], "Before");
    // Something that waits, and is known to the replica.
    let mut later = to_many("Later");
    later["send_at"] = json!(in_ten_minutes());
    let later = serve.api.send(&later).await;
    let known = |replica: &stentor_testkit::RedisServer| replica.command(&["ZCARD", "stentor:{q:dispatch}:due"]) == "int(1)";
    eventually("the replica knows it", async || known(redis.replica()).then_some(())).await;

    redis.first_master().kill();
    let after = eventually("a 202 from the new master", async || {
        let (status, body) = serve.api.post("/v1/notifications", &to_many("After")).await;
        (status == StatusCode::ACCEPTED).then(|| body["id"].as_str().unwrap().to_owned())
    })
    .await;
    serve.api.completed(&after).await;
    loop {
        if device.until("item").await["item"]["title"] == "After" {
            break;
        }
    }
    assert_eq!(unread(&serve, "p7").await, Some(2));
    let waiting = serve.api.get(&format!("/v1/notifications/{later}")).await;
    assert_eq!(waiting["status"], "scheduled", "{waiting}");
}

fn in_ten_minutes() -> String {
    let date = std::process::Command::new("date").args(["-u", "-d", "+10 minutes", "+%Y-%m-%dT%H:%M:%SZ"]).output().unwrap();
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}
