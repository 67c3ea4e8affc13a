//! Bad input is told what, where and how to mend it, and changes nothing.

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use stentor_tests::{Api, Dev, answer, device::Device, eventually, stentor};

fn body(fields: &Value) -> Value {
    let mut body = json!({"audience": {"recipients": ["u1"]}, "content": {"title": "Hello"}});
    for (name, value) in fields.as_object().unwrap() {
        match value {
            Value::Null => body.as_object_mut().unwrap().remove(name),
            value => body.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    body
}

#[tokio::test]
async fn each_wrong_request_is_refused_with_its_code_and_pointer_and_nothing_is_enqueued() {
    let dev = Dev::start();
    let recipients = |n: usize| json!({"recipients": (0..n).map(|i| format!("u{i}")).collect::<Vec<_>>()});
    let repayment = json!({"amount": {"value": "1.00", "currency": "CNY"}, "due_date": "2026-12-05", "card": "6222"});
    let with = |pointer: &str, value: Value| {
        let mut data = repayment.clone();
        *data.pointer_mut(pointer).unwrap() = value;
        body(&json!({"content": null, "template": "card-repayment-due", "data": data}))
    };
    let cases = [
        ("an unknown field", body(&json!({"chanels": ["sms"]})), "unknown_field", "/chanels"),
        ("no audience", body(&json!({"audience": null})), "missing_field", ""),
        ("0 recipients", body(&json!({"audience": recipients(0)})), "recipient_count", "/audience/recipients"),
        ("1,001 recipients", body(&json!({"audience": recipients(1001)})), "recipient_count", "/audience/recipients"),
        ("a topic that nobody made", body(&json!({"audience": {"topic": "nobody"}})), "unknown_topic", "/audience/topic"),
        ("an audience that is none", body(&json!({"audience": "everybody"})), "wrong_value", "/audience"),
        (
            "a recipient twice",
            body(&json!({"audience": {"recipients": ["u1", "u2", "u1"]}})),
            "repeated",
            "/audience/recipients/2",
        ),
        (
            "a bad mailbox",
            body(&json!({"audience": {"recipients": [{"id": "u1", "email": "nobody"}]}})),
            "invalid_address",
            "/audience/recipients/0/email",
        ),
        (
            "a mailbox that injects",
            body(&json!({"audience": {"recipients": [{"id": "u1", "email": "a@x>\r\nDATA"}]}})),
            "invalid_address",
            "/audience/recipients/0/email",
        ),
        (
            "a phone not in E.164",
            body(&json!({"audience": {"recipients": [{"id": "u1", "phone": "13800138000"}]}})),
            "invalid_address",
            "/audience/recipients/0/phone",
        ),
        (
            "a locale that is none",
            body(&json!({"audience": {"recipients": [{"id": "u1", "locale": "klingon-and-more"}]}})),
            "wrong_value",
            "/audience/recipients/0/locale",
        ),
        (
            "a time zone that is none",
            body(&json!({"audience": {"recipients": [{"id": "u1", "timezone": "Mars/Olympus"}]}})),
            "bad_timezone",
            "/audience/recipients/0/timezone",
        ),
        ("CR LF in an id", body(&json!({"audience": {"recipients": ["u\r\n1"]}})), "wrong_value", "/audience/recipients/0"),
        ("NUL in an id", body(&json!({"audience": {"recipients": ["u\u{0}1"]}})), "control_character", "/audience/recipients/0"),
        (
            "an id that no URL can name",
            body(&json!({"audience": {"recipients": [".."]}})),
            "wrong_value",
            "/audience/recipients/0",
        ),
        ("a topic that no URL can name", body(&json!({"audience": {"topic": "."}})), "wrong_value", "/audience/topic"),
        (
            "NUL in a body",
            body(&json!({"content": {"title": "x", "body_markdown": "a\u{0}"}})),
            "control_character",
            "/content/body_markdown",
        ),
        ("LF in a title", body(&json!({"content": {"title": "a\nb"}})), "control_character", "/content/title"),
        (
            "LF in a subject",
            body(&json!({"content": {"title": "a", "email": {"subject": "a\r\nBcc: x@y.z"}}})),
            "control_character",
            "/content/email/subject",
        ),
        (
            "a script as link",
            body(&json!({"content": {"title": "a", "link": "javascript:alert(1)"}})),
            "bad_link",
            "/content/link",
        ),
        ("an unknown channel", body(&json!({"channels": ["fax"]})), "wrong_value", "/channels/0"),
        ("an unknown template", body(&json!({"content": null, "template": "nope"})), "unknown_template", "/template"),
        ("neither template nor content", body(&json!({"content": null})), "nothing_to_say", ""),
        ("data of a wrong type", with("/amount/value", json!(12)), "schema", "/data/amount/value"),
        ("data of an unknown currency form", with("/amount/currency", json!("yuan")), "schema", "/data/amount/currency"),
        ("send_at in the past", body(&json!({"send_at": "2001-01-01T00:00:00Z"})), "in_the_past", "/send_at"),
        ("send_at absurdly late", body(&json!({"send_at": "2999-01-01T00:00:00Z"})), "too_far_ahead", "/send_at"),
        ("send_at that is no time", body(&json!({"send_at": "tomorrow"})), "wrong_value", "/send_at"),
        ("an expiry in the past", body(&json!({"expires_at": "2001-01-01T00:00:00Z"})), "in_the_past", "/expires_at"),
    ];
    for (what, body, code, pointer) in cases {
        let (status, problem) = dev.api.post("/v1/notifications", &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{what}: {problem}");
        assert_eq!((&problem["status"], &problem["code"]), (&json!(422), &json!("invalid")), "{what}: {problem}");
        let found = problem["errors"].as_array().unwrap().iter().any(|e| e["code"] == code && e["pointer"] == pointer);
        assert!(found, "{what}: no {code} at {pointer} in {problem}");
    }
    let (_, page) = dev.api.as_person(Method::GET, "/v1/inbox", &dev.api.token("u1").await, None).await;
    assert_eq!(page["items"], json!([]), "something was enqueued");
    let metrics = dev.api.get("/metrics").await;
    assert!(!metrics.as_str().unwrap().contains("stentor_notifications_accepted_total"), "{metrics}");
}

#[tokio::test]
async fn what_is_not_json_or_too_much_has_a_status_of_its_own() {
    let dev = Dev::start();
    let raw = |text: String| {
        dev.api.request(Method::POST, "/v1/notifications").header(header::CONTENT_TYPE, "application/json").body(text)
    };
    let bomb = format!(r#"{{"audience":{{"recipients":["u"]}},"template":"welcome","data":{}"#, r#"{"a":"#.repeat(20_000));
    let large =
        json!({"audience": {"recipients": ["u"]}, "template": "welcome", "data": {"name": "x".repeat(300 * 1024)}}).to_string();
    let plain = dev.api.request(Method::POST, "/v1/notifications").header(header::CONTENT_TYPE, "text/plain").body("{}");
    for (what, request, status, code) in [
        ("malformed", raw("{".into()), 400, "malformed"),
        ("a depth bomb", raw(bomb), 400, "malformed"),
        ("too large", raw(large), 413, "too_large"),
        ("not called JSON", plain, 415, "not_json"),
        ("an unknown path", dev.api.request(Method::GET, "/v1/nope"), 404, "no_such_path"),
        ("a wrong method", dev.api.request(Method::DELETE, "/v1/notifications"), 405, "no_such_method"),
        ("an id that is none", dev.api.request(Method::GET, "/v1/notifications/1"), 404, "not_found"),
        ("limit 0", dev.api.request(Method::GET, "/v1/recipients?limit=0"), 422, "invalid"),
        ("an after that is none", dev.api.request(Method::GET, "/v1/recipients/u/inbox?after=x"), 422, "invalid"),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json", "{what}");
        let (got, problem): (_, Value) = (response.status(), response.json().await.unwrap());
        assert_eq!((got.as_u16(), problem["code"].as_str().unwrap()), (status, code), "{what}: {problem}");
    }
}

#[tokio::test]
async fn who_may_not_is_told_so_and_apps_do_not_see_one_another() {
    let dev = Dev::start();
    let id = dev.api.send(&body(&json!({}))).await;
    let cli = |args: &[&str]| {
        let mut command = stentor();
        let output = command.args(["--json"]).args(args).env("STENTOR__ARCHIVE__URL", dev.text("database_url")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    cli(&["app", "create", "other"]);
    let others =
        cli(&["key", "create", "--app", "other", "--scopes", "send,read,manage"])["api_key"].as_str().unwrap().to_owned();
    let reader = cli(&["key", "create", "--app", "demo", "--scopes", "read"])["api_key"].as_str().unwrap().to_owned();
    let as_key = |key: &str, method: Method, path: &str| {
        let api = Api::new(&dev.api.url, key);
        let path = path.to_owned();
        async move { answer(api.request(method, &path).json(&body(&json!({})))).await }
    };
    let mut wrong = dev.api.key.clone();
    wrong.pop();
    for (what, key, path, method, status, code) in [
        ("no key", "", "/v1/notifications", Method::POST, 401, "no_key"),
        ("a wrong secret", wrong.as_str(), "/v1/notifications", Method::POST, 401, "bad_key"),
        ("a scope too few", reader.as_str(), "/v1/notifications", Method::POST, 403, "scope"),
        ("another app's notification", others.as_str(), &format!("/v1/notifications/{id}"), Method::GET, 404, "not_found"),
        ("its deliveries", others.as_str(), &format!("/v1/notifications/{id}/deliveries"), Method::GET, 404, "not_found"),
        ("its timeline", others.as_str(), &format!("/v1/notifications/{id}/timeline"), Method::GET, 404, "not_found"),
        ("another app's recipient", others.as_str(), "/v1/recipients/ada", Method::GET, 404, "not_found"),
    ] {
        let (got, problem) = as_key(key, method, path).await;
        assert_eq!((got.as_u16(), problem["code"].as_str().unwrap()), (status, code), "{what}: {problem}");
    }
    // a key that is revoked stops working, within the ten seconds that it may be cached
    let key_id = reader.split('_').nth(2).unwrap();
    cli(&["key", "revoke", "--app", "demo", key_id]);
    eventually("the revoked key is refused", async || {
        (as_key(&reader, Method::GET, "/v1/recipients").await.0 == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_idempotency_key_has_one_winner_and_is_bound_to_its_body() {
    let dev = Dev::start();
    let sends = (0..100).map(|_| {
        let request = dev.api.request(Method::POST, "/v1/notifications").header("Idempotency-Key", "k1").json(&body(&json!({})));
        async move {
            let response = request.send().await.unwrap();
            let replayed = response.headers().contains_key("idempotency-replayed");
            assert_eq!(response.status(), StatusCode::ACCEPTED);
            (replayed, response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned())
        }
    });
    let answers = futures_util::future::join_all(sends).await;
    assert_eq!(answers.iter().filter(|(replayed, _)| !replayed).count(), 1);
    assert!(answers.iter().all(|(_, id)| *id == answers[0].1));
    let other = dev
        .api
        .request(Method::POST, "/v1/notifications")
        .header("Idempotency-Key", "k1")
        .json(&body(&json!({"priority": "high"})));
    let (status, problem) = answer(other).await;
    assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("idempotency_conflict")));
    dev.api.completed(&answers[0].1).await;
    let (_, page) = dev.api.as_person(Method::GET, "/v1/inbox", &dev.api.token("u1").await, None).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_batch_judges_each_request_by_itself() {
    let dev = Dev::start();
    let mut keyed = body(&json!({}));
    keyed["idempotency_key"] = json!("b1");
    let batch = json!({"notifications": [body(&json!({})), body(&json!({"audience": recipients_none()})), keyed, keyed]});
    let (status, answer) = dev.api.post("/v1/notifications/batch", &batch).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.iter().map(|r| r["index"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(results[1]["problem"]["errors"][0]["code"], "recipient_count");
    assert_eq!(results[2]["id"], results[3]["id"]);
    assert_ne!(results[0]["id"], results[2]["id"]);
    let (status, _) = dev.api.post("/v1/notifications/batch", &json!({"notifications": [{}]})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}

fn recipients_none() -> Value {
    json!({"recipients": []})
}

#[tokio::test]
async fn a_socket_is_closed_with_a_code_that_says_why() {
    let dev = Dev::start();
    let mut device = Device::connect(&dev.api.url).await;
    device.send(&json!({"type": "auth", "token": "no token"})).await;
    assert_eq!(device.closed().await, 4401);
    let mut device = Device::connect(&dev.api.url).await;
    device.send(&json!({"type": "ping"})).await;
    assert_eq!(device.closed().await, 4408);
    let mut silent = Device::connect(&dev.api.url).await;
    assert_eq!(silent.closed().await, 4408);
    let token = dev.api.token("u1").await;
    let (mut device, _) = Device::open(&dev.api.url, &token, None).await;
    device.send(&json!({"type": "open", "ref": "x", "id": "01900000-0000-7000-8000-000000000000"})).await;
    let error = device.next("error").await;
    assert_eq!((&error["ref"], &error["code"]), (&json!("x"), &json!("not_found")));
    device.send(&json!({"type": "fly"})).await;
    assert_eq!(device.next("error").await["code"], "bad_frame");
    device.send(&json!({"type": "ping", "ref": "p"})).await;
    assert_eq!(device.next("pong").await["ref"], "p");
    let mut held = Vec::new();
    for _ in 0..63 {
        held.push(Device::open(&dev.api.url, &token, None).await);
    }
    let mut one_too_many = Device::connect(&dev.api.url).await;
    one_too_many.send(&json!({"type": "auth", "token": token})).await;
    assert_eq!(one_too_many.closed().await, 4409);
}
