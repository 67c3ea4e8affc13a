//! Pictures that a mail brings along, and mails that go out without them.

use reqwest::StatusCode;
use serde_json::{Value, json};
use stentor_testkit::{Answer, MailServer, SmsGateway, read_mail};
use stentor_tests::{Dev, eventually};

/// The smallest picture that there is.
const GIF: &str = "GIF89a\u{1}\0\u{1}\0\0\0\0,\0\0\0\0\u{1}\0\u{1}\0\0\u{2}\u{2}D\u{1}\0;";
const GIF_BASE64: &str = "R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=";

fn start(smtp: &MailServer, more: &[(&str, &str)]) -> Dev {
    let url = smtp.url();
    let mut settings = vec![
        ("STENTOR__EMAIL__PROVIDERS", "main"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__URL", url.as_str()),
        ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "News <no-reply@example.com>"),
    ];
    settings.extend_from_slice(more);
    Dev::start_with(&settings)
}

/// Publishes a template whose card, body and articles show the pictures of its data.
async fn publish(dev: &Dev) {
    let content = "+++\ntitle = \"News\"\nsummary = \"Of today\"\nimage = { url = \"{{card}}\", alt = \"A bridge\" }\n\n\
        [[articles]]\neach = \"stories\"\ntitle = \"{{article.title}}\"\nimage = { url = \"{{article.image}}\", alt = \"A story\" }\n+++\n\n\
        ![A river]({{body}}) and again ![A bridge]({{card}})\n";
    let story = json!({"type": "object", "required": ["title", "image"], "properties": {"title": {"type": "string"}, "image": {"type": "string"}}});
    let schema = json!({"type": "object", "required": ["card", "body", "stories"], "properties":
        {"card": {"type": "string"}, "body": {"type": "string"}, "stories": {"type": "array", "items": story}}});
    let sample = json!({"card": "https://x.example/1.png", "body": "https://x.example/2.png", "stories": []});
    let files = json!({
        "template.toml": "title = \"News\"\nchannels = [\"email\"]\ndefault_locale = \"en\"\nimages = \"inline\"\n",
        "schema.json": schema.to_string(), "samples/one.json": sample.to_string(), "en/content.md": content,
    });
    let (status, receipt) = dev.api.put("/v1/templates/pictures", &json!({"files": files, "publish": true})).await;
    assert_eq!(status, StatusCode::OK, "{receipt}");
}

fn news(to: &[&str], card: &str, body: &str, story: &str) -> Value {
    let to: Vec<Value> = to.iter().map(|id| json!({"id": id, "email": format!("{id}@example.com")})).collect();
    json!({"audience": {"recipients": to}, "template": "pictures",
        "data": {"card": card, "body": body, "stories": [{"title": "One", "image": story}]}})
}

/// The delivery's reason in the record, and what the timeline says of the mail's sending.
async fn reasons(dev: &Dev, id: &str) -> (Value, Value) {
    let deliveries = dev.api.get(&format!("/v1/notifications/{id}/deliveries")).await;
    let sent = eventually("the timeline knows it", async || {
        let timeline = dev.api.get(&format!("/v1/notifications/{id}/timeline")).await;
        timeline["events"].as_array()?.iter().find(|event| event["state"] == "sent").cloned()
    });
    (deliveries["items"][0]["reason"].clone(), sent.await["reason"].clone())
}

#[tokio::test]
async fn the_pictures_of_a_template_come_with_its_mails_and_are_fetched_once() {
    let (smtp, web) = (MailServer::start(), SmsGateway::start());
    let dev = start(&smtp, &[("STENTOR__OUTBOUND__ALLOW", "127.0.0.0/8")]);
    publish(&dev).await;
    web.answer(&[Answer::body(200, GIF)]);
    let url = |name: &str| format!("{}/{name}?a=1&b=2", web.url());
    let request = news(&["u1", "u2", "u3"], &url("card"), &url("body"), &url("story"));
    let id = dev.api.send(&request).await;
    assert_eq!(dev.api.completed(&id).await["counts"]["email"], json!({"sent": 3}));
    assert_eq!(reasons(&dev, &id).await, (Value::Null, Value::Null));
    for raw in smtp.mails() {
        let mail = read_mail(&raw);
        let structure = mail["structure"].as_array().unwrap();
        assert_eq!(structure[..4], ["multipart/alternative", "text/plain", "multipart/related", "text/html"]);
        let parts = mail["parts"].as_array().unwrap();
        let html = parts[1]["text"].as_str().unwrap();
        assert!(!html.contains(&web.url()), "nothing is left to be loaded: {html}");
        assert_eq!(parts.len(), 5, "the picture that is shown twice comes once: {mail}");
        for part in &parts[2..] {
            assert_eq!(
                (&part["type"], &part["base64"], &part["disposition"]),
                (&json!("image/gif"), &json!(GIF_BASE64), &json!("inline"))
            );
            let id = part["content_id"].as_str().unwrap().trim_matches(['<', '>']);
            assert!(html.contains(&format!("src=\"cid:{id}\"")), "{id} is not shown in {html}");
        }
        assert_eq!(html.matches("src=\"cid:").count(), 4);
        assert!(html.contains("alt=\"A bridge\"") && html.contains("alt=\"A river\"") && html.contains("alt=\"A story\""));
    }
    assert_eq!(web.requests().len(), 3, "each once for all, also for those that begin together");
}

#[tokio::test]
async fn the_pictures_of_a_requests_own_words_come_with_the_mail_where_it_says_so() {
    let (smtp, web) = (MailServer::start(), SmsGateway::start());
    let dev = start(&smtp, &[("STENTOR__OUTBOUND__ALLOW", "127.0.0.0/8")]);
    web.answer(&[Answer::body(200, GIF)]);
    for (n, images) in (1..).zip(["inline", "linked"]) {
        let url = |name: &str| format!("{}/{name}-{n}", web.url());
        let content = json!({
            "title": "News", "body_markdown": format!("![A river]({})", url("body")), "image": {"url": url("card"), "alt": "A bridge"},
            "email": {"images": images},
        });
        let to = json!([{"id": "u1", "email": "u1@example.com"}]);
        let request = json!({"audience": {"recipients": to}, "content": content, "channels": ["email", "inbox"]});
        let id = dev.api.send(&request).await;
        assert_eq!(dev.api.completed(&id).await["counts"]["email"], json!({"sent": 1}));
        let mail = read_mail(smtp.mails().last().unwrap());
        let (parts, html) = (mail["parts"].as_array().unwrap(), mail["parts"][1]["text"].as_str().unwrap());
        let (with_it, left) = if images == "inline" { (2, 0) } else { (0, 2) };
        assert_eq!((parts.len() - 2, html.matches("src=\"cid:").count()), (with_it, with_it), "{images}: {mail}");
        assert_eq!(html.matches(&web.url()).count(), left, "{images}: {html}");
        assert_eq!(web.requests().len(), 2, "what is linked is not fetched");
    }
    let content = json!({"title": "News", "email": {"images": "attached"}});
    let (status, problem) =
        dev.api.post("/v1/notifications", &json!({"audience": {"recipients": ["u1"]}, "content": content})).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("/content/email/images")));
}

#[tokio::test]
async fn a_picture_that_does_not_come_is_linked_and_the_mail_goes_out_and_says_so() {
    let (smtp, good, bad) = (MailServer::start(), SmsGateway::start(), SmsGateway::start());
    let limits = [("STENTOR__OUTBOUND__ALLOW", "127.0.0.0/8"), ("STENTOR__EMAIL__MAX_ATTACHMENT_BYTES", "1000")];
    let mut dev = start(&smtp, &limits);
    publish(&dev).await;
    good.answer(&[Answer::body(200, GIF)]);
    for (n, (answer, why)) in (1..).zip([
        (Answer::status(404), "picture 2 is answered with 404"),
        (Answer::status(302).with_header("Location", &good.url()), "picture 2 redirects, which is not followed"),
        (Answer::body(200, "<svg/>").with_header("Content-Type", "image/png"), "picture 2 is no picture that mail programs show"),
        (Answer::body(200, GIF.to_owned() + &"x".repeat(955)), "picture 2 makes the mail too large"),
        (Answer::body(200, GIF.to_owned() + &"x".repeat(5_000)), "picture 2 is larger than"),
    ]) {
        bad.answer(&[answer]);
        let (there, not) = (format!("{}/there", good.url()), format!("{}/not-{n}", bad.url()));
        let id = dev.api.send(&news(&["u1"], &there, &not, &there)).await;
        assert_eq!(dev.api.completed(&id).await["counts"]["email"], json!({"sent": 1}), "{why}");
        let (record, timeline) = reasons(&dev, &id).await;
        let said = record.as_str().unwrap();
        assert!(said.starts_with("linked, not brought along: ") && said.contains(why) && !said.contains("127"), "{why}: {said}");
        assert_eq!(timeline, record);
        let mail = read_mail(smtp.mails().last().unwrap());
        let html = mail["parts"][1]["text"].as_str().unwrap();
        assert!(html.contains(&format!("src=\"{not}\"")) && html.matches("src=\"cid:").count() == 3, "{html}");
        let again = dev.api.send(&news(&["u2"], &there, &not, &there)).await;
        dev.api.completed(&again).await;
        assert_eq!(bad.requests().len(), n, "what did not come is left alone for a while");
    }
    assert_eq!(good.requests().len(), 1);
    // Who does not answer is not asked again for another picture.
    let silent = bad.url();
    drop(bad);
    let id = dev.api.send(&news(&["u1"], &format!("{silent}/a"), &format!("{silent}/b"), &format!("{silent}/c"))).await;
    assert_eq!(dev.api.completed(&id).await["counts"]["email"], json!({"sent": 1}));
    let (record, _) = reasons(&dev, &id).await;
    assert!(record.as_str().unwrap().contains("picture 1 cannot be reached"), "{record}");
    let id = dev.api.send(&news(&["u1"], &format!("{silent}/d"), &format!("{silent}/d"), &format!("{silent}/d"))).await;
    dev.api.completed(&id).await;
    let (record, _) = reasons(&dev, &id).await;
    assert!(record.as_str().unwrap().ends_with("picture 1 is on a server that did not answer a moment ago"), "{record}");
    dev.stop();

    // Nothing is fetched from a private address, whoever names it.
    let dev = start(&smtp, &[]);
    publish(&dev).await;
    let before = good.requests().len();
    let id = dev.api.send(&news(&["u1"], &good.url(), "http://169.254.169.254/latest/meta-data", "http://[::1]/a")).await;
    assert_eq!(dev.api.completed(&id).await["counts"]["email"], json!({"sent": 1}));
    let (record, _) = reasons(&dev, &id).await;
    assert_eq!(record.as_str().unwrap().matches("public address").count(), 3, "{record}");
    assert_eq!(good.requests().len(), before);
}
