//! Pictures, articles and buttons on their way; and templates that cannot be written, which hold nobody up.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};
use stentor_testkit::read_mail;
use stentor_tests::{Dev, answer, device::Device, eventually, files};

#[tokio::test]
async fn several_articles_reach_the_inbox_the_mail_and_as_one_link_the_phone() {
    let dev = Dev::start();
    let token = dev.api.token("ada").await;
    let (mut device, _) = Device::open(&dev.api.url, &token, None).await;
    let articles = json!([
        {"title": "One <b>", "summary": "First", "link": "https://news.example/1", "image": {"url": "https://news.example/1.png", "alt": "A bridge"}},
        {"title": "Two", "link": "https://news.example/2"},
    ]);
    let content = json!({
        "title": "The day", "summary": "Two stories", "image": {"url": "https://news.example/0.png"},
        "body_markdown": "Good morning.\n\n![A river](https://news.example/river.png)", "articles": articles,
        "actions": [{"label": "All of them", "url": "https://news.example"}],
    });
    let request = json!({"audience": {"recipients": ["ada"]}, "channels": ["inbox", "email", "sms"], "content": content});
    let id = dev.api.send(&request).await;

    let frame = device.next("item").await;
    assert!(frame["item"].get("articles").is_none(), "the card is small: {frame}");
    device.send(&json!({"type": "open", "ref": "1", "id": id})).await;
    let opened = device.until("content").await;
    assert_eq!(opened["item"]["articles"], articles, "{opened}");
    assert!(
        opened["item"]["body_html"].as_str().unwrap().contains("<img src=\"https://news.example/river.png\" alt=\"A river\"")
    );

    let mail = eventually("a mail", async || files(&dev.outbox("mail"), "eml").pop()).await;
    let mail = fs::read_to_string(mail).unwrap().replace("=\r\n", "").replace("=3D", "=");
    for part in [
        "src=\"https://news.example/1.png\" alt=\"A bridge\"",
        "alt=\"The day\"",
        "href=\"https://news.example/2\"",
        "One &lt;b&gt;",
    ] {
        assert!(mail.contains(part), "{part} is not in {mail}");
    }
    let sms = eventually("an SMS", async || files(&dev.outbox("sms"), "json").pop()).await;
    let sms: Value = serde_json::from_slice(&fs::read(sms).unwrap()).unwrap();
    assert_eq!(sms["text"], "Two stories https://news.example/1");

    let mut wrong = request.clone();
    wrong["content"]["articles"] = json!([{"title": "x", "link": "javascript:alert(1)"}]);
    let (status, problem) = dev.api.post("/v1/notifications", &wrong).await;
    assert_eq!((status.as_u16(), &problem["errors"][0]["pointer"]), (422, &json!("/content/articles/0/link")), "{problem}");
}

/// Templates in which lint finds no mistake, and that some data make impossible to write.
fn hostile(dir: &std::path::Path) {
    let schema = json!({
        "type": "object", "required": ["a", "text", "object", "any", "address"],
        "properties": {"a": {"type": "array"}, "address": {"type": "string"}, "text": {"type": "string"}, "object": {"type": "object"}, "any": {}},
    });
    let sample = json!({"a": [1], "text": "k", "object": {"k": "v"}, "any": {"value": "1", "currency": "EUR"}, "address": "https://x.example"});
    let loops = "{{#each a}}{{#each ../a}}{{#each ../../a}}{{#each ../../../a}}x{{/each}}{{/each}}{{/each}}{{/each}}";
    let blown_up = "{{#each a}}{{../text}}{{/each}}";
    for (key, text, link) in [
        ("loops", loops, ""),
        ("blown-up", blown_up, ""),
        ("missing", "{{lookup object text}}", ""),
        ("wrong-type", "{{money any}}", ""),
        ("bad-link", "{{#if text}}x{{/if}}", "link = \"{{address}}\""),
    ] {
        for (file, content) in [
            (
                "template.toml",
                format!("title = \"{key}\"\ndefault_locale = \"en\"\nchannels = [\"inbox\", \"email\", \"sms\"]\n"),
            ),
            ("schema.json", schema.to_string()),
            ("samples/small.json", sample.to_string()),
            ("en/content.md", format!("+++\ntitle = \"Title\"\nsummary = \"{text}\"\n{link}\n+++\n{text}")),
        ] {
            let path = dir.join(key).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }
}

/// Waits until the folder of templates was read.
async fn is_read(dev: &Dev, template: &str) {
    let known = || answer(dev.api.request(Method::GET, &format!("/v1/templates/{template}")));
    eventually("the template is read", async || known().await.0.is_success().then_some(())).await;
}

#[tokio::test]
async fn what_cannot_be_written_fails_once_with_its_reason_and_holds_up_nothing() {
    let dir = tempfile::tempdir().unwrap();
    hostile(dir.path());
    let dev = Dev::start_with(&[("STENTOR__TEMPLATES__DIR", dir.path().to_str().unwrap())]);
    let data = json!({"a": vec![0; 100], "text": "x".repeat(10_000), "object": {}, "any": "x", "address": "javascript:alert(1)"});
    for (template, reason) in [
        ("loops", "rounds of loops: the limit is 10000"),
        ("blown-up", "bytes of rendered text: the limit is 524288"),
        ("missing", "en/content.md:3:12: the variable `lookup` is missing from the data"),
        ("wrong-type", "`money` wants an amount"),
        ("bad-link", "en/content.md:4: the link must be an absolute URL"),
    ] {
        is_read(&dev, template).await;
        let request = json!({"audience": {"recipients": ["ada"]}, "template": template, "data": data});
        let id = dev.api.send(&request).await;
        let deliveries = eventually("all deliveries failed", async || {
            let found =
                dev.api.get(&format!("/v1/notifications/{id}/deliveries")).await["items"].as_array().cloned().unwrap_or_default();
            (found.len() == 3 && found.iter().all(|d| d["state"] == "failed")).then_some(found)
        })
        .await;
        for delivery in deliveries {
            assert!(delivery["reason"].as_str().unwrap().contains(reason), "{delivery}");
            assert!(delivery["attempts"].as_u64().unwrap_or_default() <= 1, "it is not tried again: {delivery}");
        }
    }
    assert_eq!(dev.api.get("/v1/dead-letters").await["items"], json!([]));
    let good = dev
        .api
        .send(&json!({"audience": {"recipients": ["ada"]}, "channels": ["email", "sms"], "content": {"title": "On it goes"}}))
        .await;
    assert_eq!(dev.api.completed(&good).await["counts"], json!({"email": {"sent": 1}, "sms": {"sent": 1}}));
}

#[tokio::test]
async fn what_would_break_out_of_a_subject_or_an_sms_stays_in_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("line/en");
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(dir.path().join("line/samples")).unwrap();
    for (file, content) in [
        ("template.toml", "title = \"Line\"\ndefault_locale = \"en\"\nchannels = [\"inbox\", \"email\", \"sms\"]\n"),
        ("schema.json", r#"{"type": "object", "required": ["v"], "properties": {"v": {}}}"#),
        ("samples/one.json", r#"{"v": "x"}"#),
        ("en/content.md", "+++\ntitle = \"Hello {{v}}\"\nsummary = \"Of {{v}}\"\n+++\n{{v}}\n"),
    ] {
        fs::write(dir.path().join("line").join(file), content).unwrap();
    }
    let dev = Dev::start_with(&[("STENTOR__TEMPLATES__DIR", dir.path().to_str().unwrap())]);
    is_read(&dev, "line").await;
    let injecting = "Ada\r\nBcc: x@evil.example\r\n\r\n<script>alert(1)</script>";
    for value in [json!(injecting), Value::Null, json!({"a": [1, {"b": null}]}), json!("x".repeat(100_000))] {
        let request = json!({"audience": {"recipients": ["ada"]}, "template": "line", "data": {"v": value}});
        let view = dev.api.completed(&dev.api.send(&request).await).await;
        // What is too long is cut: a card, a subject and an SMS of its summary are short whatever the data.
        assert_eq!((&view["counts"]["email"], &view["counts"]["sms"]), (&json!({"sent": 1}), &json!({"sent": 1})), "{view}");
    }
    for path in files(&dev.outbox("mail"), "eml") {
        let mail = read_mail(&fs::read_to_string(path).unwrap());
        assert!(mail["headers"].get("bcc").is_none() && mail["defects"] == json!([]), "{mail}");
        assert!(mail["headers"]["subject"].as_str().unwrap().starts_with("Hello"), "{mail}");
        assert!(!mail["parts"][1]["text"].as_str().unwrap().contains("<script"), "{mail}");
    }
    for path in files(&dev.outbox("sms"), "json") {
        let sms: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        assert!(!sms["text"].as_str().unwrap().contains(['\r', '\n']), "{sms}");
    }
    assert_eq!(dev.api.get("/v1/dead-letters").await["items"], json!([]));
}
