//! Content: one text for each notification and variant, which stays until the record has it.

use std::time::Duration;

use stentor_domain::{AppId, item::ItemContent};
use stentor_inbox::InboxError;

use crate::support::{Fixture, eventually, id, inboxes};

fn text(text: &str) -> ItemContent {
    ItemContent { body_html: format!("<p>{text}</p>\n"), body_text: text.into(), articles: Vec::new() }
}

#[tokio::test]
async fn it_is_found_by_app_notification_and_variant() {
    let (f, inboxes, _) = inboxes().await;
    let other: AppId = "other".parse().unwrap();
    f.inbox.put_contents(&f.app, id(1), &[("en", text("hello"))]).await.unwrap();
    f.inbox.put_contents(&f.app, id(1), &[("de", text("Größe"))]).await.unwrap();
    assert_eq!(f.inbox.find_content(&f.app, id(1), "en").await.unwrap(), Some(text("hello")));
    assert_eq!(inboxes.content(&f.app, id(1), "de").await.unwrap(), Some(text("Größe")));
    for (app, n, variant) in [(&f.app, 1, "fr"), (&f.app, 2, "en"), (&other, 1, "en")] {
        assert_eq!(f.inbox.find_content(app, id(n), variant).await.unwrap(), None);
        assert_eq!(inboxes.content(app, id(n), variant).await.unwrap(), None);
    }
}

#[tokio::test]
async fn it_stays_until_it_is_let_go() {
    let f = Fixture::cold().await;
    for variant in ["en", "de"] {
        f.inbox.put_contents(&f.app, id(1), &[(variant, text("hello"))]).await.unwrap();
    }
    let life = async |variant: &str| {
        let mut cmd = redis::cmd("PTTL");
        cmd.arg(format!("stentor:content:{{demo:{}}}:{variant}", id(1))).query_async::<i64>(&mut f.conn.clone()).await.unwrap()
    };
    assert_eq!(life("en").await, -1, "it has no end");
    f.inbox.expire_contents(&[(&f.app, id(1), "en")], Duration::from_hours(24)).await.unwrap();
    assert!((86_000_000..=86_400_000).contains(&life("en").await), "{}", life("en").await);
    assert_eq!(f.inbox.find_content(&f.app, id(1), "en").await.unwrap(), Some(text("hello")));

    f.inbox.put_contents(&f.app, id(1), &[("en", text("again"))]).await.unwrap();
    assert_eq!((f.inbox.find_content(&f.app, id(1), "en").await.unwrap(), life("en").await), (Some(text("again")), -1));

    f.inbox.expire_contents(&[(&f.app, id(1), "en")], Duration::from_millis(1)).await.unwrap();
    eventually("it is gone", async || f.inbox.find_content(&f.app, id(1), "en").await.unwrap().is_none().then_some(())).await;
    assert_eq!(life("de").await, -1, "the other one stays");
    f.inbox.expire_contents(&[(&f.app, id(9), "en")], Duration::from_millis(1)).await.unwrap();
}

#[tokio::test]
async fn what_is_not_ours_is_an_error_and_not_absent() {
    let f = Fixture::cold().await;
    let key = format!("stentor:content:{{demo:{}}}:en", id(1));
    redis::cmd("SET").arg(key).arg("<html>").query_async::<()>(&mut f.conn.clone()).await.unwrap();
    let found = f.inbox.find_content(&f.app, id(1), "en").await;
    assert!(matches!(found, Err(InboxError::Malformed(_))), "{found:?}");
}
