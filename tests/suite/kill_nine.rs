//! A 202 is never lost: the whole process is killed right after it, and everything arrives after a restart.

use std::collections::HashSet;

use reqwest::{Method, StatusCode};
use serde_json::json;
use stentor_tests::{Dev, eventually, files};

/// How many are sent, and as often the process is killed: 60 here, 1,000 with `STENTOR_FAULTS=full` (`make crowds`).
fn sends() -> usize {
    if std::env::var("STENTOR_FAULTS").is_ok_and(|v| v == "full") { 1_000 } else { 60 }
}

#[tokio::test]
async fn accepted_notifications_survive_a_kill_nine_right_after_each() {
    let sends = sends();
    let mut dev = Dev::start();
    let mut accepted = HashSet::new();
    for n in 0..sends {
        let person = format!("p{}", n % 10);
        let body = json!({
            "audience": {"recipients": [{"id": person, "email": format!("{person}@example.com")}]},
            "content": {"title": format!("number {n}")},
            "channels": ["inbox", "email"],
        });
        let (status, answer) = dev.api.post("/v1/notifications", &body).await;
        dev.kill(); // the 202 is microseconds old
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        accepted.insert(answer["id"].as_str().unwrap().to_owned());
        dev.restart();
    }
    assert_eq!(accepted.len(), sends);

    // exactly once in the inboxes
    let arrived = eventually("all items in the inboxes", async || {
        let mut found = Vec::new();
        for person in 0..10 {
            let token = dev.api.token(&format!("p{person}")).await;
            let mut after = String::new();
            loop {
                let (_, page) = dev.api.as_person(Method::GET, &format!("/v1/inbox?limit=100{after}"), &token, None).await;
                found.extend(page["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()));
                match page["next"].as_str() {
                    Some(next) => after = format!("&after={next}"),
                    None => break,
                }
            }
        }
        (found.len() >= sends).then_some(found)
    })
    .await;
    assert_eq!(arrived.len(), sends, "an item is in an inbox twice");
    assert_eq!(arrived.into_iter().collect::<HashSet<_>>(), accepted);
    for person in 0..10 {
        let token = dev.api.token(&format!("p{person}")).await;
        let (_, unread) = dev.api.as_person(Method::GET, "/v1/inbox/unread", &token, None).await;
        assert_eq!(unread["unread"], sends / 10);
    }

    // every mail, each with a Message-ID of its own; one that was caught while it was sent may be there twice
    let ids = |mails: &[std::path::PathBuf]| -> HashSet<String> {
        let id = |path| std::fs::read_to_string(path).unwrap().lines().find(|l| l.starts_with("Message-ID:")).unwrap().to_owned();
        mails.iter().map(id).collect()
    };
    let mails = eventually("all mails", async || {
        let mails = files(&dev.outbox("mail"), "eml");
        (mails.len() >= sends && ids(&mails).len() >= sends).then_some(mails)
    })
    .await;
    assert_eq!(ids(&mails).len(), sends);

    // and SQL knows how each ended
    for id in &accepted {
        let view = dev.api.completed(id).await;
        assert!(view["counts"]["email"]["sent"] == 1 || view["counts"]["email"]["unknown"] == 1, "{view}");
    }
}
