//! What every mail says of itself: whose it is, that a program wrote it, and which conversation it belongs to.

use std::{collections::HashSet, time::Duration};

use serde_json::{Value, json};
use stentor_testkit::{MailServer, read_mail};
use stentor_tests::Dev;

#[tokio::test]
async fn a_mail_says_whose_it_is_and_what_belongs_together_is_one_conversation_of_each_person() {
    let smtp = MailServer::start();
    let dev = Dev::start_with(&[
        ("STENTOR__EMAIL__PROVIDERS", "main"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__URL", &smtp.url()),
        ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "Bank <no-reply@example.com>"),
    ]);
    let mut mails: Vec<(String, Value)> = Vec::new();
    for (recipient, key) in
        [("ada", json!("k1")), ("ada", json!("k1")), ("ada", json!("k2")), ("bob", json!("k1")), ("ada", json!(null))]
    {
        let mut body = json!({"audience": {"recipients": [{"id": recipient, "email": format!("{recipient}@example.com")}]},
            "content": {"title": "Hello"}, "channels": ["email"], "category": "billing", "collapse_key": key});
        body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let id = dev.api.send(&body).await;
        dev.api.completed(&id).await;
        let raw = smtp.wait_for(mails.len() + 1, Duration::from_secs(10)).await.pop().unwrap();
        let read = read_mail(&raw);
        assert_eq!(read["type"], "multipart/alternative", "also of own words: {read}");
        mails.push((id, read["headers"].clone()));
    }
    let threads: Vec<&Value> = mails.iter().map(|(_, headers)| &headers["references"]).collect();
    assert!(threads[0].is_string() && threads[0] == threads[1], "{threads:?}");
    let apart: HashSet<String> = threads.iter().map(ToString::to_string).collect();
    assert_eq!(apart.len(), 4, "by another key, to another person and without one it is another conversation: {threads:?}");
    assert!(mails.iter().all(|(_, headers)| headers["in-reply-to"] == headers["references"]));
    for (id, headers) in &mails {
        assert_eq!(headers["feedback-id"], format!("{}:billing:demo:stentor", id.replace('-', "")));
        assert_eq!(headers["auto-submitted"], "auto-generated");
        assert!(headers["date"].as_str().unwrap().ends_with(" +0000"), "{headers}");
    }
    let ids: HashSet<String> = mails.iter().map(|(_, headers)| headers["message-id"].to_string()).collect();
    assert_eq!(ids.len(), mails.len());
}
