//! Files that go with a mail: in the request, or fetched, and never from where they must not be.

use reqwest::StatusCode;
use serde_json::{Value, json};
use stentor_testkit::{Answer, MailServer, SmsGateway, read_mail};
use stentor_tests::{Dev, eventually};

fn start(smtp: &MailServer, more: &[(&str, &str)]) -> Dev {
    let url = smtp.url();
    let mut settings = vec![
        ("STENTOR__EMAIL__PROVIDERS", "main"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__URL", url.as_str()),
        ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "Bank <no-reply@example.com>"),
    ];
    settings.extend_from_slice(more);
    Dev::start_with(&settings)
}

fn mail(attachments: &Value) -> Value {
    json!({"audience": {"recipients": ["ada"]}, "content": {"title": "Your invoice"}, "channels": ["email"],
        "attachments": attachments, "collapse_key": "invoice-7"})
}

#[tokio::test]
async fn what_came_with_the_request_and_what_is_fetched_arrive_as_they_are() {
    let (smtp, files) = (MailServer::start(), SmsGateway::start());
    let dev = start(&smtp, &[("STENTOR__OUTBOUND__ALLOW", "127.0.0.0/8")]);
    files.answer(&[Answer::body(200, "from elsewhere")]);
    let url = format!("{}/invoice?token=secret", files.url());
    let attachments = json!([
        {"name": "Größe.bin", "type": "application/octet-stream", "content": "AAECDQoK"},
        {"name": "terms.txt", "type": "text/plain", "url": url},
    ]);
    let mut body = mail(&attachments);
    let recipients: Vec<Value> = (0..20).map(|n| json!({"id": format!("u{n}"), "email": format!("u{n}@example.com")})).collect();
    body["audience"] = json!({"recipients": recipients});
    let view = dev.api.completed(&dev.api.send(&body).await).await;
    assert_eq!(view["counts"]["email"], json!({"sent": 20}), "{view}");
    for raw in smtp.mails() {
        let read = read_mail(&raw);
        let parts = read["parts"].as_array().unwrap();
        assert_eq!((&parts[2]["name"], &parts[2]["base64"]), (&json!("Größe.bin"), &json!("AAECDQoK")));
        assert_eq!((&parts[3]["name"], &parts[3]["text"]), (&json!("terms.txt"), &json!("from elsewhere")));
        assert!(read["headers"]["references"].as_str().unwrap().ends_with("@example.com>"), "{raw}");
    }
    assert_eq!(files.requests().len(), 1, "fetched once for all, also for those that begin together");
    // 20 times 6 bytes and 14.
    let metrics = dev.api.get("/metrics").await;
    for counted in ["stentor_mail_files_total 40", "stentor_mail_file_bytes_total 400"] {
        assert!(metrics.as_str().unwrap().lines().any(|line| line == counted), "no {counted} in {metrics}");
    }
}

#[tokio::test]
async fn a_picture_that_came_with_the_request_is_shown_in_its_mail() {
    let smtp = MailServer::start();
    let dev = start(&smtp, &[]);
    let mut body = mail(&json!([{"name": "ticket.gif", "type": "image/gif", "content": "R0lGODlhAQ==", "content_id": "ticket"}]));
    body["content"]["email"] = json!({"html": "<p><img src=\"cid:ticket\" alt=\"Your ticket\"></p>"});
    dev.api.completed(&dev.api.send(&body).await).await;
    let read = read_mail(smtp.mails().last().unwrap());
    let parts = read["parts"].as_array().unwrap();
    assert!(parts[1]["text"].as_str().unwrap().contains("<img src=\"cid:ticket\" alt=\"Your ticket\">"), "{read}");
    let picture = (&parts[2]["content_id"], &parts[2]["disposition"], &parts[2]["base64"]);
    assert_eq!(picture, (&json!("<ticket>"), &json!("inline"), &json!("R0lGODlhAQ==")));
}

#[tokio::test]
async fn nothing_is_fetched_from_a_private_address_nor_over_a_redirect_nor_beyond_the_limit() {
    let (smtp, files) = (MailServer::start(), SmsGateway::start());
    let dev = start(&smtp, &[]);
    let port = files.url().rsplit_once(':').unwrap().1.to_owned();
    for url in [
        files.url(),
        format!("http://localhost:{port}/a"),
        "http://169.254.169.254/latest/meta-data".into(),
        "http://[::1]/a".into(),
        format!("http://[::ffff:127.0.0.1]:{port}/a"),
        format!("http://2130706433:{port}/a"),
    ] {
        let id = dev.api.send(&mail(&json!([{"name": "a", "url": url}]))).await;
        let view = dev.api.completed(&id).await;
        assert_eq!(view["counts"]["email"], json!({"failed": 1}), "{url}: {view}");
        let deliveries = dev.api.get(&format!("/v1/notifications/{id}/deliveries")).await;
        let reason = deliveries["items"][0]["reason"].as_str().unwrap();
        assert!(reason.starts_with("attachment 1 ") && reason.contains("public") && !reason.contains("127"), "{url}: {reason}");
    }
    assert!(files.requests().is_empty() && smtp.mails().is_empty());

    let limits = [("STENTOR__OUTBOUND__ALLOW", "127.0.0.0/8"), ("STENTOR__EMAIL__MAX_ATTACHMENT_BYTES", "1000")];
    let dev = start(&smtp, &limits);
    for (answer, words) in [
        (Answer::status(302).with_header("Location", "http://example.com/"), "redirects"),
        (Answer::body(200, "x".repeat(5_000)), "larger than 1000 bytes"),
        (Answer::status(404), "404"),
        (Answer::body(200, "MZ").with_header("Content-Type", "application/x-msdownload"), "program"),
    ] {
        files.answer(&[answer]);
        let id = dev.api.send(&mail(&json!([{"name": "a", "url": files.url()}]))).await;
        let view = dev.api.completed(&id).await;
        assert_eq!(view["counts"]["email"], json!({"failed": 1}), "{words}: {view}");
        let deliveries = dev.api.get(&format!("/v1/notifications/{id}/deliveries")).await;
        assert!(deliveries["items"][0]["reason"].as_str().unwrap().contains(words), "{deliveries}");
    }
    // what is there again a moment later is sent
    files.answer(&[Answer::status(503), Answer::body(200, "here")]);
    let id = dev.api.send(&mail(&json!([{"name": "a", "url": files.url()}]))).await;
    let view = dev.api.completed(&id).await;
    assert_eq!(view["counts"]["email"], json!({"sent": 1}), "{view}");
}

#[tokio::test]
async fn a_file_that_no_mail_can_carry_is_refused_at_the_door() {
    let smtp = MailServer::start();
    let dev = start(&smtp, &[]);
    let file = |name: &str, kind: &str| json!([{"name": name, "type": kind, "content": "AAEC"}]);
    for (attachments, pointer) in [
        (file("run.exe", "application/octet-stream"), "/attachments/0/name"),
        (file("a\r\nBcc: x@example.com", "a/b"), "/attachments/0/name"),
        (file("a.pdf", "application/x-msdownload"), "/attachments/0/type"),
        (file("a.pdf", "a/b\r\nBcc: x"), "/attachments/0/type"),
        (json!([{"name": "a", "url": "file:///etc/passwd"}]), "/attachments/0/url"),
        (json!([{"name": "a", "type": "a/b", "content": "%"}]), "/attachments/0/content"),
        (json!([{"name": "a", "type": "a/b", "content": "AAEC", "content_id": "x>"}]), "/attachments/0/content_id"),
        (json!(vec![json!({"name": "a", "url": "https://example.com/a"}); 11]), "/attachments"),
    ] {
        let (status, problem) = dev.api.post("/v1/notifications", &mail(&attachments)).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(pointer)), "{problem}");
    }
    // 50 MB
    let large = json!([{"name": "a", "type": "a/b", "content": "A".repeat(50 * 1024 * 1024)}]);
    let refused = dev.api.request(reqwest::Method::POST, "/v1/notifications").json(&mail(&large)).send().await;
    // The server may hang up before it has read all of it.
    assert!(refused.is_err() || refused.is_ok_and(|answer| answer.status() == StatusCode::PAYLOAD_TOO_LARGE));
    assert!(smtp.mails().is_empty());
}

#[tokio::test]
async fn of_a_thousand_of_whom_one_is_refused_all_others_get_their_mail() {
    let smtp = MailServer::start();
    let dev = start(&smtp, &[]);
    let recipient = |n: usize| {
        let email = if n == 500 { "refuse-550@example.com".to_owned() } else { format!("u{n}@example.com") };
        json!({"id": format!("u{n}"), "email": email})
    };
    let recipients: Vec<Value> = (0..1_000).map(recipient).collect();
    let body = json!({"audience": {"recipients": recipients}, "content": {"title": "Hello"}, "channels": ["email"]});
    let id = dev.api.send(&body).await;
    let view = eventually("all of them", async || {
        let view = dev.api.get(&format!("/v1/notifications/{id}")).await;
        (view["status"] == "completed").then_some(view)
    })
    .await;
    assert_eq!(view["counts"]["email"], json!({"sent": 999, "failed": 1}), "{view}");
    assert_eq!(smtp.mails().len(), 999);
}
