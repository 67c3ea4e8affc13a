//! A dry run answers what would be done, by the same rules, and does nothing.

use reqwest::StatusCode;
use serde_json::{Value, json};
use stentor_testkit::SmsGateway;
use stentor_tests::{Dev, files};

/// The part of a dry run about one person on one channel.
fn about<'a>(run: &'a Value, recipient: &str, channel: &str) -> &'a Value {
    let all = run["deliveries"].as_array().unwrap();
    all.iter().find(|d| d["recipient"] == recipient && d["channel"] == channel).unwrap()
}

#[tokio::test]
async fn each_delivery_is_decided_and_written_and_nothing_is_sent() {
    let dev = Dev::start();
    let (status, _) = dev.api.put("/v1/recipients/cleo/preferences", &json!({"channels": {"email": false}})).await;
    assert_eq!(status, StatusCode::OK);
    dev.api.post("/v1/suppressions", &json!({"channel": "sms", "address": "+491701234567"})).await;
    let body = json!({
        "audience": {"recipients": [
            {"id": "ada", "phone": "+8613800138000", "locale": "zh-CN"},
            {"id": "bob", "phone": "0170 1234567", "locale": "de-DE", "email": "bob@example.com"},
            "cleo",
        ]},
        "template": "card-repayment-due", "channels": ["inbox", "email", "sms"],
        "data": {"amount": {"value": "1234.50", "currency": "CNY"}, "due_date": "2026-12-05", "card": "6222"},
        "send_at": stentor_tests::at(3_600.0), "dry_run": true,
    });
    let (status, run) = dev.api.post("/v1/notifications", &body).await;
    assert_eq!(status, StatusCode::OK, "{run}");
    assert_eq!((&run["dry_run"], &run["recipients"], &run["more"]), (&json!(true), &json!(3), &json!(false)));
    let sms = about(&run, "ada", "sms");
    assert_eq!((&sms["decision"], &sms["earliest_at"]), (&json!("send"), &body["send_at"]), "{sms}");
    assert!(
        sms["output"]["text"].as_str().unwrap().contains("1,234.50") && sms["sms"]["segments"].as_u64().unwrap() >= 1,
        "{sms}"
    );
    assert!(about(&run, "ada", "inbox")["output"]["content"]["body_html"].as_str().unwrap().contains("<p>"));
    assert!(about(&run, "bob", "email")["output"]["subject"].is_string());
    for (recipient, channel, reason) in
        [("bob", "sms", "suppressed"), ("cleo", "email", "preference"), ("cleo", "sms", "no_address")]
    {
        let skipped = about(&run, recipient, channel);
        assert_eq!((&skipped["decision"], &skipped["reason"]), (&json!("skip"), &json!(reason)), "{skipped}");
        assert!(skipped.get("output").is_none());
    }
    assert!(files(&dev.outbox("sms"), "json").is_empty() && files(&dev.outbox("mail"), "eml").is_empty());
    assert_eq!(dev.api.get("/v1/recipients/ada/inbox").await["items"], json!([]));
    let wrong = json!({"audience": {"recipients": ["ada"]}, "template": "nothing", "dry_run": true});
    assert_eq!(dev.api.post("/v1/notifications", &wrong).await.0, StatusCode::UNPROCESSABLE_ENTITY);
}

/// A batch is tried in order, as if what stands before it had been sent: the limits of the day and what is shown are shared.
#[tokio::test]
async fn of_a_batch_each_dry_run_says_what_it_would_do_and_all_together_what_they_cost() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("prices.toml");
    let prices = "[sms.prices]\ncurrency = \"EUR\"\nper_segment = { \"+49\" = 0.075, \"+86\" = 0.1 }\n[sms.limits]\n\
                  recipient_segments_per_day = 2\n";
    std::fs::write(&config, prices).unwrap();
    let dev = Dev::start_with(&[("STENTOR_CONFIG", config.to_str().unwrap())]);
    let post =
        async |notifications: &[Value]| dev.api.post("/v1/notifications/batch", &json!({"notifications": notifications})).await;
    let sms = |id: &str, phone: &str, title: &str| {
        json!({"audience": {"recipients": [{"id": id, "phone": phone}]}, "content": {"title": title}, "channels": ["sms"],
            "dry_run": true, "idempotency_key": "the same for all: nothing is written"})
    };
    let two = "a".repeat(161);
    let wrong = json!({"audience": {"recipients": ["ada"]}, "template": "nothing", "dry_run": true});
    let all = [sms("bob", "+491701234567", &two), wrong, sms("cleo", "+8613800138000", "x"), sms("bob", "+491701234567", "x")];
    let (status, answer) = post(&all).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let results = answer["results"].as_array().unwrap();
    let places: Vec<&Value> = results.iter().map(|result| &result["index"]).collect();
    assert_eq!(places, [&json!(0), &json!(1), &json!(2), &json!(3)]);
    assert_eq!(about(&results[0], "bob", "sms")["sms"], json!({"segments": 2, "price_estimate": "0.15 EUR"}));
    assert_eq!(results[0]["sms"]["price_estimate"], "0.15 EUR");
    assert_eq!(results[1]["problem"]["code"], "invalid", "{answer}");
    assert_eq!(about(&results[2], "cleo", "sms")["output"]["text"], "x");
    assert_eq!(about(&results[3], "bob", "sms")["reason"], "throttled", "2 + 1 to one person");
    let sum = json!({"recipients": 3, "more": false, "messages": 2, "segments": 3, "price_estimate": "0.25 EUR"});
    assert_eq!(answer["sms"], sum);
    assert_eq!(post(&all).await.1["sms"], sum, "nothing was counted");

    // What is to be sent is sent beside it; and of many, a hundred recipients are shown together.
    let people: Vec<Value> = (0..60).map(|n| json!(format!("p{n}"))).collect();
    let dry = json!({"audience": {"recipients": people}, "content": {"title": "x"}, "channels": ["inbox"], "dry_run": true});
    let real = json!({"audience": {"recipients": ["ada"]}, "content": {"title": "real"}, "channels": ["inbox"]});
    let (status, answer) = post(&[dry.clone(), real, dry.clone(), dry]).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let shown: Vec<Option<usize>> =
        answer["results"].as_array().unwrap().iter().map(|r| r["deliveries"].as_array().map(Vec::len)).collect();
    assert_eq!(shown, [Some(60), None, Some(40), Some(0)]);
    assert_eq!((&answer["results"][3]["more"], answer.get("sms")), (&json!(true), None));
    dev.api.completed(answer["results"][1]["id"].as_str().unwrap()).await;
    assert_eq!(dev.api.get("/v1/recipients/ada/inbox").await["items"][0]["title"], "real");
    assert_eq!(dev.api.get("/v1/recipients/p1/inbox").await["items"], json!([]));
    assert!(files(&dev.outbox("sms"), "json").is_empty());
    assert_eq!(post(&[json!({"dry_run": true})]).await.0, StatusCode::UNPROCESSABLE_ENTITY);
}

/// It is the person's, by their id in the app: another number changes nothing, and another person with the same number has their own.
#[tokio::test]
async fn the_limit_of_a_recipient_is_that_of_their_id() {
    let gateway = SmsGateway::start();
    let dev = Dev::start_with(&[
        ("STENTOR__SMS__PROVIDERS", "gw"),
        ("STENTOR__SMS__PROVIDER__GW__URL", &format!("{}/send?to={{{{to}}}}&text={{{{text}}}}", gateway.url())),
        ("STENTOR__SMS__LIMITS__RECIPIENT_SEGMENTS_PER_DAY", "1"),
    ]);
    for (recipient, phone, expected) in [
        ("bob", "+491701234567", json!({"sent": 1})),
        ("bob", "+8613800138000", json!({"skipped": 1})),
        ("cleo", "+491701234567", json!({"sent": 1})),
        ("cleo", "+491701234567", json!({"skipped": 1})),
    ] {
        let to = json!({"id": recipient, "phone": phone});
        let id = dev.api.send(&json!({"audience": {"recipients": [to]}, "content": {"title": "x"}, "channels": ["sms"]})).await;
        assert_eq!(dev.api.completed(&id).await["counts"]["sms"], expected, "{recipient} {phone}");
    }
    assert_eq!(gateway.requests().len(), 2);
}

#[tokio::test]
async fn what_goes_beyond_the_limits_of_the_day_is_throttled_and_what_is_sent_says_what_it_costs() {
    let gateway = SmsGateway::start();
    let prices = tempfile::tempdir().unwrap();
    let config = prices.path().join("prices.toml");
    std::fs::write(&config, "[sms.prices]\ncurrency = \"EUR\"\nper_segment = { \"+\" = 0.1, \"+49\" = 0.075 }\n").unwrap();
    let dev = Dev::start_with(&[
        ("STENTOR_CONFIG", config.to_str().unwrap()),
        ("STENTOR__SMS__PROVIDERS", "gw"),
        ("STENTOR__SMS__PROVIDER__GW__URL", &format!("{}/send?to={{{{to}}}}&text={{{{text}}}}", gateway.url())),
        ("STENTOR__SMS__LIMITS__RECIPIENT_SEGMENTS_PER_DAY", "3"),
        ("STENTOR__SMS__LIMITS__APP_SEGMENTS_PER_DAY", "4"),
    ]);
    let send = async |recipient: &str, phone: &str, title: &str| {
        let to = json!({"id": recipient, "phone": phone});
        let body = json!({"audience": {"recipients": [to]}, "content": {"title": title}, "channels": ["sms"]});
        let id = dev.api.send(&body).await;
        dev.api.completed(&id).await;
        let delivery = dev.api.get(&format!("/v1/notifications/{id}/deliveries")).await["items"][0].clone();
        let timeline = dev.api.get(&format!("/v1/notifications/{id}/timeline")).await;
        let last = timeline["events"].as_array().unwrap().iter().rfind(|e| e["state"] == delivery["state"]).unwrap().clone();
        (delivery["state"].as_str().unwrap().to_owned(), delivery["reason"].clone(), last["sms"].clone())
    };
    let two = "a".repeat(161);
    let (state, _, cost) = send("bob", "+491701234567", &two).await;
    assert_eq!((state.as_str(), cost), ("sent", json!({"segments": 2, "price_estimate": "0.15 EUR"})));
    let (state, reason, _) = send("bob", "+491701234567", &two).await;
    assert_eq!((state.as_str(), reason), ("skipped", json!("throttled")), "2 + 2 to one person");
    assert_eq!(send("bob", "+491701234567", "short").await.0, "sent", "2 + 1");
    assert_eq!(send("cleo", "+8613800138000", "short").await.2["price_estimate"], "0.10 EUR");
    assert_eq!(send("dora", "+8613800138001", "short").await.1, json!("throttled"), "4 + 1 of one app");
    // A dry run knows what is left, and counts nothing.
    let named = json!({"recipients": [{"id": "dora", "phone": "+8613800138001"}]});
    let body = json!({"audience": named, "content": {"title": "x"}, "channels": ["sms"], "dry_run": true});
    let (_, run) = dev.api.post("/v1/notifications", &body).await;
    let delivery = about(&run, "dora", "sms");
    assert_eq!((&delivery["decision"], &delivery["reason"]), (&json!("skip"), &json!("throttled")), "{run}");
    assert_eq!((&run["sms"]["messages"], &run["sms"].get("price_estimate")), (&json!(0), &None), "{run}");
    assert_eq!(gateway.requests().len(), 3);
}

/// A hundred recipients are shown; what it costs is said of all that a request may name.
#[tokio::test]
async fn what_a_large_audience_costs_is_said_of_all_of_it_within_the_limits() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("prices.toml");
    let prices = "[sms.prices]\ncurrency = \"EUR\"\nper_segment = { \"+\" = 0.1, \"+49\" = 0.075 }\n[sms.limits]\n\
                  app_segments_per_day = 400\nrecipient_segments_per_day = 1\n";
    std::fs::write(&config, prices).unwrap();
    let dev = Dev::start_with(&[("STENTOR_CONFIG", config.to_str().unwrap())]);
    let recipients: Vec<Value> = (0..500)
        .map(|n| {
            let phone = if n < 10 { format!("+861380013{n:04}") } else { format!("+49170{n:07}") };
            json!({"id": format!("u{n:03}"), "phone": phone})
        })
        .collect();
    let run = async |title: &str| {
        let body =
            json!({"audience": {"recipients": recipients}, "content": {"title": title}, "channels": ["sms"], "dry_run": true});
        dev.api.post("/v1/notifications", &body).await.1
    };
    let short = run("short").await;
    assert_eq!((&short["recipients"], &short["more"]), (&json!(100), &json!(true)));
    assert_eq!(short["deliveries"].as_array().unwrap().len(), 100);
    // 400 fit into the day: 10 at 0.10 and 390 at 0.075.
    let sms = json!({"recipients": 500, "more": false, "messages": 400, "segments": 400, "price_estimate": "30.25 EUR"});
    assert_eq!(short["sms"], sms);
    let long = run(&"a".repeat(161)).await;
    assert_eq!((&long["sms"]["messages"], &long["deliveries"][0]["reason"]), (&json!(0), &json!("throttled")), "2 of 1 to each");
    assert_eq!(run("short").await["sms"], sms, "nothing was counted");
}
