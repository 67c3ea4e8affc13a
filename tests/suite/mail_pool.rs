//! Ten thousand mails to a real Postfix: over few connections, each once. Short here; `make crowds` sends them all.

use std::collections::HashSet;

use serde_json::{Value, json};
use stentor_testkit::{Postfix, RedisServer};
use stentor_tests::{
    eventually,
    serve::{Serve, sqlite},
};

/// The most people whom one request may name.
const RECIPIENTS: usize = 1_000;
/// How many mails a worker has under way.
const SENDERS: usize = 16;

#[tokio::test]
async fn each_of_ten_thousand_mails_arrives_once_over_few_connections() {
    if !Postfix::can_run() {
        eprintln!("not root: Postfix is not started, and this test sees nothing");
        return;
    }
    let mails = if std::env::var("STENTOR_FAULTS").is_ok_and(|v| v == "full") { 10_000 } else { 500 };
    let (redis, dir, postfix) = (RedisServer::start(), tempfile::tempdir().unwrap(), Postfix::start_patient());
    let ca_file = postfix.ca_file();
    let own = [
        ("STENTOR__EMAIL__PROVIDERS", "main"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__URL", &postfix.url()),
        ("STENTOR__EMAIL__PROVIDER__MAIN__CA_FILE", ca_file.to_str().unwrap()),
        ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "Example Bank <no-reply@example.com>"),
        ("STENTOR__WORKER__EMAIL_CONCURRENCY", &SENDERS.to_string()),
    ];
    let serve = Serve::start(&redis.url(), &sqlite(&dir), &own).await;
    let mut ids = Vec::new();
    for first in (0..mails).step_by(RECIPIENTS) {
        let to = |n: usize| json!({"id": format!("u{n}"), "email": format!("u{n}@example.com")});
        let recipients: Vec<Value> = (first..mails.min(first + RECIPIENTS)).map(to).collect();
        let body =
            json!({"audience": {"recipients": recipients}, "content": {"title": "Your card is due"}, "channels": ["email"]});
        ids.push(serve.api.send(&body).await);
    }
    // Each step is an event to wait for: a notification that ends, and the mails of Postfix's queue that reach the mailbox.
    let mut sent = 0;
    for id in &ids {
        let mut before = None;
        loop {
            let counts = eventually("another mail", async || {
                let counts = serve.api.get(&format!("/v1/notifications/{id}")).await["counts"]["email"].clone();
                (Some(&counts) != before.as_ref()).then_some(counts)
            })
            .await;
            let done: u64 = counts["sent"].as_u64().unwrap_or_default();
            assert!(["failed", "unknown", "skipped"].iter().all(|state| counts[state].is_null()), "{counts}");
            if done as usize == mails.min(RECIPIENTS) {
                sent += done as usize;
                break;
            }
            before = Some(counts);
        }
    }
    assert_eq!(sent, mails);
    let mut count = 0;
    while count < mails {
        let before = count;
        count = eventually("another mail in the mailbox", async || Some(postfix.count()).filter(|n| *n > before)).await;
    }
    let arrived = postfix.mails();
    let header = |name: &str| -> HashSet<String> {
        let of = |mail: &String| mail.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        arrived.iter().map(of).collect()
    };
    assert_eq!((arrived.len(), header("Message-ID: ").len(), header("To: ").len()), (mails, mails, mails), "each once");
    // A connection carries a hundred mails and no more; one is the test's own. Postfix must not hang up on who is busy, or this
    // would count how often the machine was.
    let connections = postfix.connections();
    assert!((1..=1 + SENDERS + mails / 100 + mails / 500).contains(&connections), "{connections} connections for {mails} mails");
    assert!(connections < mails / 10);
}
