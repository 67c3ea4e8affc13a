//! Many at once: who never reads costs a bounded amount, who comes back again and again misses nothing, and a restart brings
//! everybody back soon. Short here; `make crowds` takes thousands.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use stentor_testkit::RedisServer;
use stentor_tests::{
    Api, client,
    device::Device,
    eventually,
    serve::{Process, bank, settings, sqlite},
};

fn full_or(short: usize, full: usize) -> usize {
    if std::env::var("STENTOR_FAULTS").is_ok_and(|v| v == "full") { full } else { short }
}

/// The memory of a process, in bytes.
fn rss(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

async fn sockets(api: &Api) -> usize {
    let metrics = client().get(format!("{}/metrics", api.url)).send().await.unwrap().text().await.unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix("stentor_sockets "));
    line.map_or(0, |n| n.parse::<f64>().unwrap() as usize)
}

async fn start(redis: &RedisServer, dir: &tempfile::TempDir) -> (Process, Api) {
    let settings = settings(&redis.url(), &sqlite(dir), &[("STENTOR__REALTIME__CONNECTS_PER_SECOND", "100000")]);
    let api = bank(&settings);
    (Process::start(&settings).await, api)
}

async fn tokens(api: &Api, n: usize) -> Vec<String> {
    stream::iter(0..n).map(async |i| api.token(&format!("p{i}")).await).buffered(16).collect().await
}

async fn connect(api: &Api, tokens: &[String], cursors: Option<&[Value]>) -> Vec<(Device, Value)> {
    stream::iter(tokens.iter().enumerate())
        .map(async |(i, token)| Device::open(&api.url, token, cursors.map(|c| &c[i])).await)
        .buffered(32)
        .collect()
        .await
}

#[tokio::test]
async fn who_never_reads_costs_a_bounded_amount_and_is_let_go() {
    let n = full_or(200, 1_000);
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let (server, api) = start(&redis, &dir).await;
    let devices = connect(&api, &tokens(&api, n).await, None).await;
    let before = rss(server.pid());
    // Nobody reads from here on. Ten times what the kernel and we hold for one of them:
    let one = json!({"audience": "everyone", "content": {"title": "n", "summary": "x".repeat(280)}});
    for _ in 0..20 {
        let (status, body) = api.post("/v1/notifications/batch", &json!({"notifications": vec![&one; 100]})).await;
        assert!(status.is_success(), "{body}");
    }
    let mut most = 0;
    eventually("all are let go", async || {
        most = most.max(rss(server.pid()));
        (sockets(&api).await == 0).then_some(())
    })
    .await;
    // 32 KiB are what waits for each; the rest is the 2,000 entries of the timeline, which the process keeps, and what works on them.
    let (each, rest) = ((most - before) / n as u64, 64 << 20);
    assert!(most - before < n as u64 * 48 * 1_024 + rest, "{each} bytes each");
    drop(devices);
}

#[tokio::test]
async fn who_comes_back_again_and_again_misses_nothing() {
    let (people, times) = (20, full_or(25, 500));
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let (_server, api) = start(&redis, &dir).await;
    let tokens = tokens(&api, people).await;
    for i in 0..people {
        let (status, _) = api.put(&format!("/v1/recipients/p{i}"), &json!({})).await;
        assert!(status.is_success());
    }
    let devices = connect(&api, &tokens, None).await;
    let comers: Vec<_> = tokens
        .iter()
        .zip(&devices)
        .map(|(token, (device, _))| {
            let (url, token, cursor) = (api.url.clone(), token.clone(), Some(device.cursor.clone()));
            tokio::spawn(async move {
                let (mut cursor, mut seen) = (cursor, BTreeSet::new());
                for _ in 0..times {
                    let (mut device, welcome) = Device::open(&url, &token, cursor.as_ref()).await;
                    assert_eq!(welcome["recovered"], json!(true), "{welcome}");
                    seen.extend(welcome["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()));
                    // What comes by itself while it is here, until it asks and is answered.
                    device.send(&json!({"type": "ping", "ref": "p"})).await;
                    loop {
                        let frame = device.frame().await;
                        match frame["type"].as_str().unwrap() {
                            "item" => drop(seen.insert(frame["item"]["id"].as_str().unwrap().to_owned())),
                            "pong" => break,
                            other => panic!("{other}: {frame}"),
                        }
                    }
                    cursor = Some(device.cursor.clone());
                    assert_eq!(seen.len() as u64, device.unread, "a gap");
                }
                (token, cursor, seen)
            })
        })
        .collect();
    let mut sent = 0;
    while !comers.iter().all(tokio::task::JoinHandle::is_finished) {
        let everyone = json!({"audience": "everyone", "content": {"title": "all"}});
        let names: Vec<String> = (0..people).map(|i| format!("p{i}")).collect();
        let own = json!({"audience": {"recipients": names}, "channels": ["inbox"], "content": {"title": "own"}});
        let (status, body) = api.post("/v1/notifications/batch", &json!({"notifications": [everyone, own]})).await;
        assert!(status.is_success(), "{body}");
        sent += 2;
    }
    // Once more, after all that was sent has been written.
    for comer in comers {
        let (token, mut cursor, mut seen) = comer.await.unwrap();
        eventually("all of it is there", async || {
            let (device, welcome) = Device::open(&api.url, &token, cursor.as_ref()).await;
            seen.extend(welcome["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()));
            assert_eq!(seen.len() as u64, device.unread, "a gap");
            cursor = Some(device.cursor.clone());
            (seen.len() == sent).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn everybody_is_back_soon_after_a_restart_and_has_what_was_sent_meanwhile() {
    let n = full_or(300, 5_000);
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let (mut server, api) = start(&redis, &dir).await;
    for i in 0..n {
        api.put(&format!("/v1/recipients/p{i}"), &json!({})).await;
    }
    let tokens = tokens(&api, n).await;
    let devices = connect(&api, &tokens, None).await;
    let cursors: Vec<Value> = devices.iter().map(|(device, _)| device.cursor.clone()).collect();
    drop(devices);
    let id = api.send(&json!({"audience": "everyone", "content": {"title": "meanwhile"}})).await;
    api.completed(&id).await;
    server.restart().await;
    let begun = Instant::now();
    let back = connect(&api, &tokens, Some(&cursors)).await;
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    for (device, welcome) in back {
        assert_eq!(
            (&welcome["recovered"], &welcome["items"][0]["id"], device.unread),
            (&json!(true), &json!(id), 1),
            "{welcome}"
        );
    }
}

#[tokio::test]
async fn who_was_the_last_to_leave_is_told_live_again_on_return() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let (_server, api) = start(&redis, &dir).await;
    let n = 64;
    let tokens = tokens(&api, n).await;
    let names: Vec<String> = (0..n).map(|i| format!("p{i}")).collect();
    let own = json!({"audience": {"recipients": names}, "channels": ["inbox"], "content": {"title": "own"}});
    for _ in 0..3 {
        for name in &names {
            api.put(&format!("/v1/recipients/{name}"), &json!({})).await;
        }
        let mut devices = connect(&api, &tokens, None).await;
        api.send(&json!({"audience": "everyone", "content": {"title": "all"}})).await;
        for (device, _) in &mut devices {
            device.next("item").await;
        }
        let id = api.send(&own).await;
        for (device, _) in &mut devices {
            assert_eq!(device.next("item").await["item"]["id"], json!(id));
        }
        drop(devices);
        eventually("all are gone", async || (sockets(&api).await == 0).then_some(())).await;
    }
}
