//! Receipts: what a gateway reports later settles what its answer left open.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stentor_testkit::{Answer, SmsGateway};
use stentor_tests::{Dev, answer, eventually};

const SECRET: &str = "0123456789abcdef";

fn start(gateway: &SmsGateway) -> Dev {
    Dev::start_with(&[
        ("STENTOR__SMS__PROVIDERS", "gw"),
        ("STENTOR__SMS__PROVIDER__GW__URL", &format!("{}/send?to={{{{to}}}}&text={{{{text}}}}&ref={{{{id}}}}", gateway.url())),
        ("STENTOR__SMS__PROVIDER__GW__DEADLINE_MS", "5000"),
        ("STENTOR__SMS__PROVIDER__GW__RECEIPTS__SECRET", SECRET),
        ("STENTOR__SMS__PROVIDER__GW__RECEIPTS__REFERENCE", "ref"),
        ("STENTOR__SMS__PROVIDER__GW__RECEIPTS__STATUS", "status"),
        ("STENTOR__SMS__PROVIDER__GW__RECEIPTS__DELIVERED", "1"),
        ("STENTOR__SMS__PROVIDER__GW__RECEIPTS__FAILED", "2,16"),
        ("STENTOR__SMS__PROVIDER__GW__RECEIPTS__REASON", "why"),
    ])
}

async fn send(dev: &Dev) -> String {
    let body = json!({"audience": {"recipients": ["ada"]}, "content": {"title": "Hello"}, "channels": ["sms"]});
    let id = dev.api.send(&body).await;
    dev.api.completed(&id).await;
    id
}

async fn delivery(dev: &Dev, id: &str) -> Value {
    dev.api.get(&format!("/v1/notifications/{id}/deliveries")).await["items"][0].clone()
}

/// Calls back as the gateway does, with the reference that it was given.
async fn report(dev: &Dev, reference: &str, more: &str) -> StatusCode {
    let url = format!("{}/v1/callbacks/sms/gw?ref={reference}&{more}", dev.api.url);
    answer(stentor_tests::client().request(Method::GET, url)).await.0
}

async fn settled(dev: &Dev, id: &str, state: &str) -> Value {
    eventually(state, async || Some(delivery(dev, id).await).filter(|delivery| delivery["state"] == state)).await
}

#[tokio::test]
async fn a_receipt_settles_what_was_unknown_and_is_taken_once() {
    let gateway = SmsGateway::start();
    let dev = start(&gateway);
    gateway.answer(&[Answer::Drop]);
    let id = send(&dev).await;
    assert_eq!(delivery(&dev, &id).await["state"], "unknown");
    let reference = gateway.requests()[0]["query"]["ref"].as_str().unwrap().to_owned();

    assert_eq!(report(&dev, &reference, "status=1").await, StatusCode::NOT_FOUND, "without the secret");
    assert_eq!(report(&dev, &reference, "status=1&secret=0123456789abcdeX").await, StatusCode::NOT_FOUND);
    let secret = format!("secret={SECRET}");
    assert_eq!(report(&dev, "x", &format!("{secret}&status=1")).await, StatusCode::UNPROCESSABLE_ENTITY);
    let nobody = "019a0000-0000-5000-8000-000000000000";
    assert_eq!(report(&dev, nobody, &format!("{secret}&status=1")).await, StatusCode::NOT_FOUND);
    assert_eq!(report(&dev, &reference, &format!("{secret}&status=8")).await, StatusCode::NO_CONTENT, "under way");
    assert_eq!(delivery(&dev, &id).await["state"], "unknown", "nothing of this changed anything");

    for _ in 0..2 {
        assert_eq!(report(&dev, &reference, &format!("{secret}&status=1")).await, StatusCode::NO_CONTENT);
    }
    let delivered = settled(&dev, &id, "delivered").await;
    assert_eq!(delivered["provider"], "gw", "{delivered}");
    // It was delivered: nobody can say any more that it was not.
    assert_eq!(report(&dev, &reference, &format!("{secret}&status=2")).await, StatusCode::NO_CONTENT);
    let timeline = dev.api.get(&format!("/v1/notifications/{id}/timeline")).await;
    let states: Vec<&str> = timeline["events"].as_array().unwrap().iter().filter_map(|e| e["state"].as_str()).collect();
    assert_eq!(states.iter().filter(|state| **state == "delivered").count(), 1, "{timeline}");
    assert!(!states.contains(&"failed"), "{timeline}");
    assert_eq!(gateway.requests().len(), 1);
}

#[tokio::test]
async fn a_message_that_was_taken_may_fail_after_all_and_the_reason_is_told() {
    let gateway = SmsGateway::start();
    let dev = start(&gateway);
    let id = send(&dev).await;
    assert_eq!(delivery(&dev, &id).await["state"], "sent");
    let reference = gateway.requests()[0]["query"]["ref"].as_str().unwrap().to_owned();
    let form = [("ref", reference.as_str()), ("status", "16"), ("why", "absent subscriber")];
    let url = format!("{}/v1/callbacks/sms/gw?secret={SECRET}", dev.api.url);
    let (status, _) = answer(stentor_tests::client().request(Method::POST, url).form(&form)).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(settled(&dev, &id, "failed").await["reason"], "absent subscriber");
}

/// What Tencent's callback carries: a list, by its own id of each message.
fn tencents(serial: &str, status: &str) -> Value {
    json!([
        {"user_receive_time": "2015-10-17 08:03:04", "nationcode": "86", "mobile": "13xxxxxxxxx", "report_status": "SUCCESS",
         "errmsg": "DELIVRD", "description": "x", "sid": "9:nobody-knows-this-one"},
        {"of": "somebody else, who reports in another way"},
        {"user_receive_time": "2015-10-17 08:03:04", "nationcode": "86", "mobile": "13xxxxxxxxx", "report_status": status,
         "errmsg": "MX:0001", "description": "x", "sid": serial},
    ])
}

#[tokio::test]
async fn receipts_in_a_list_by_the_gateways_own_id_are_found_in_redis_and_then_in_sql() {
    let gateway = SmsGateway::start();
    let dev = Dev::start_with(&[
        ("STENTOR__SMS__PROVIDERS", "tc"),
        ("STENTOR__SMS__PROVIDER__TC__PRESET", "tencent"),
        ("STENTOR__SMS__PROVIDER__TC__URL", &format!("{}/", gateway.url())),
        ("STENTOR__SMS__PROVIDER__TC__USERNAME", "id"),
        ("STENTOR__SMS__PROVIDER__TC__PASSWORD", "key"),
        ("STENTOR__SMS__PROVIDER__TC__VALUES__SDK_APP_ID", "2400006666"),
        ("STENTOR__SMS__PROVIDER__TC__VALUES__SIGN_NAME", "Bank"),
        ("STENTOR__SMS__PROVIDER__TC__VALUES__TEMPLATE_ID", "1234"),
        ("STENTOR__SMS__PROVIDER__TC__RECEIPTS__SECRET", SECRET),
    ]);
    let taken = |serial: &str| {
        let status = json!({"SerialNo": serial, "Code": "Ok", "Message": "send success"});
        Answer::body(200, json!({"Response": {"SendStatusSet": [status], "RequestId": "x"}}).to_string())
    };
    gateway.answer(&[taken("5000:1"), taken("5000:2")]);
    let (first, second) = (send(&dev).await, send(&dev).await);
    let report = async |serial: &str, status: &str| {
        let url = format!("{}/v1/callbacks/sms/tc?secret={SECRET}", dev.api.url);
        answer(stentor_tests::client().request(Method::POST, url).json(&tencents(serial, status))).await
    };
    let heard = json!({"result": 0, "errmsg": "OK"});
    assert_eq!(report("5000:1", "SUCCESS").await, (StatusCode::OK, heard.clone()));
    settled(&dev, &first, "delivered").await;

    // Redis keeps such records for three days; SQL has the delivery then as now.
    let archived = settled(&dev, &second, "sent").await;
    let redis = redis::Client::open(dev.text("redis_url")).unwrap();
    let mut redis = redis.get_multiplexed_async_connection().await.unwrap();
    let job = format!("stentor:{{q:sms}}:job:{}", archived["id"].as_str().unwrap());
    let gone: u8 = redis::cmd("DEL").arg(job).arg("stentor:{q:sms}:alias:tc:5000:2").query_async(&mut redis).await.unwrap();
    assert_eq!(gone, 2);
    assert_eq!(report("5000:2", "FAIL").await, (StatusCode::OK, heard));
    assert_eq!(settled(&dev, &second, "failed").await["reason"], "MX:0001");
    // What is late or replayed contradicts what is known by now.
    assert_eq!(report("5000:2", "SUCCESS").await.0, StatusCode::OK);
    assert_eq!(report("5000:1", "FAIL").await.0, StatusCode::OK);
    let id = send(&dev).await;
    settled(&dev, &id, "sent").await; // what was appended before it is archived by now
    assert_eq!(
        (delivery(&dev, &first).await["state"].clone(), delivery(&dev, &second).await["state"].clone()),
        (json!("delivered"), json!("failed"))
    );
    // One that is faster than the gateway's own answer, which tells us its id, is kept for it.
    let url = format!("{}/v1/callbacks/sms/tc?secret={SECRET}", dev.api.url);
    let early = tencents("5000:3", "FAIL")[2].clone();
    let (status, _) = answer(stentor_tests::client().request(Method::POST, url).json(&early)).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "it is nobody's yet");
    gateway.answer(&[taken("5000:3")]);
    let third = send(&dev).await;
    assert_eq!(settled(&dev, &third, "failed").await["reason"], "MX:0001");
}

/// What each gateway calls back with, by its public pages (they are named in the presets), about a message whose request is given: the
/// call with our reference in it.
fn receipt_of(dev: &Dev, preset: &str, asked: &Value) -> reqwest::RequestBuilder {
    let form = |name: &str| {
        let form = reqwest::Url::parse(&format!("http://form/?{}", asked["body"].as_str().unwrap())).unwrap();
        form.query_pairs().find(|(field, _)| field == name).unwrap().1.into_owned()
    };
    // The URL that a request gave them leads to where the proxy stands; here it leads to us.
    let given = |url: &str| format!("{}{}", dev.api.url, url.strip_prefix("http://notify.test").unwrap());
    let call = |method: Method, url: String| stentor_tests::client().request(method, url);
    let ours = format!("{}/v1/callbacks/sms/gw?secret={SECRET}", dev.api.url);
    match preset {
        "kannel" => {
            let url = given(asked["query"]["dlr-url"].as_str().unwrap());
            call(Method::GET, url.replace("%d", "1").replace("%A", "ACK/"))
        }
        "twilio" => call(Method::POST, given(&form("StatusCallback"))).form(&[
            ("AccountSid", "AC123"),
            ("MessageSid", "SM0123456789abcdef0123456789abcdef"),
            ("MessageStatus", "delivered"),
            ("To", "+491701234567"),
        ]),
        "vonage" => {
            let fields = "msisdn=491701234567&to=AcmeInc&network-code=12345&messageId=0A0000001234567B&price=0.03330000&status=delivered\
                          &scts=2001011400&err-code=0&api-key=abcd1234&message-timestamp=2020-01-01+12%3A00%3A00";
            call(Method::GET, format!("{ours}&{fields}&client-ref={}", form("client-ref")))
        }
        "aliyun" => call(Method::POST, ours).json(&json!([{"phone_number": "1381111****", "send_time": "2017-01-01 00:00:00",
            "report_time": "2017-01-01 00:00:00", "success": true, "err_code": "DELIVERED", "err_msg": "x", "sms_size": "1",
            "biz_id": "12345********", "out_id": asked["query"]["OutId"]}])),
        _ => {
            let body: Value = serde_json::from_str(asked["body"].as_str().unwrap()).unwrap();
            let mut receipts = tencents("5000:nobody-heard-this", "SUCCESS");
            receipts[2]["ext"] = body["SessionContext"].clone();
            call(Method::POST, ours).json(&receipts)
        }
    }
}

/// The answer is lost, and with it the gateway's own id: what became of the message is told by our reference.
#[tokio::test]
async fn a_message_whose_answer_was_lost_is_settled_by_the_receipt_of_each_preset() {
    for preset in ["kannel", "twilio", "vonage", "aliyun", "tencent"] {
        let gateway = SmsGateway::start();
        gateway.answer(&[Answer::Drop]);
        let of = |key: &str, value: &str| (format!("STENTOR__SMS__PROVIDER__GW__{key}"), value.to_owned());
        let mut settings = vec![("STENTOR__SMS__PROVIDERS".to_owned(), "gw".to_owned())];
        settings.extend([
            of("PRESET", preset),
            of("URL", &format!("{}/", gateway.url())),
            of("USERNAME", "abcd1234"),
            of("PASSWORD", "secret"),
            of("FROM", "AcmeInc"),
            of("CALLBACK_URL", "http://notify.test/v1/callbacks/sms/gw"),
            of("RECEIPTS__PROOF", "secret"),
            of("RECEIPTS__SECRET", SECRET),
        ]);
        let values = ["SIGN_NAME", "TEMPLATE_CODE", "TEMPLATE_ID", "SDK_APP_ID"];
        settings.extend(values.map(|name| of(&format!("VALUES__{name}"), "1234")));
        let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let dev = Dev::start_with(&settings);
        let id = send(&dev).await;
        let lost = delivery(&dev, &id).await;
        assert_eq!(
            (&lost["state"], lost.get("provider_message_id").and_then(Value::as_str)),
            (&json!("unknown"), None),
            "{preset}"
        );
        let (status, body) = answer(receipt_of(&dev, preset, &gateway.requests()[0])).await;
        assert!(status.is_success(), "{preset}: {status} {body}");
        let delivered = settled(&dev, &id, "delivered").await;
        assert_eq!(delivered["provider"], "gw", "{preset}: {delivered}");
        assert_eq!(gateway.requests().len(), 1, "{preset}");
    }
}

/// It may come as early as it will: it is answered at once, since not every gateway repeats it, and kept until the delivery has ended.
#[tokio::test]
async fn a_receipt_that_is_faster_than_the_gateways_answer_is_kept_for_it() {
    let gateway = SmsGateway::start();
    let dev = start(&gateway);
    gateway.answer(&[Answer::Stall]); // it is given up after 5 s: unknown
    let body = json!({"audience": {"recipients": ["ada"]}, "content": {"title": "Hello"}, "channels": ["sms"]});
    let id = dev.api.send(&body).await;
    let asked = gateway.wait_for(1, stentor_tests::PATIENCE).await;
    let reference = asked[0]["query"]["ref"].as_str().unwrap();
    assert_eq!(report(&dev, reference, &format!("secret={SECRET}&status=1")).await, StatusCode::NO_CONTENT);
    // What comes after it in the wrong order does not outweigh it.
    assert_eq!(report(&dev, reference, &format!("secret={SECRET}&status=2")).await, StatusCode::NO_CONTENT);
    let ended = delivery(&dev, &id).await;
    assert_ne!(ended["state"], "unknown", "the gateway's time is not over yet: {ended}");
    settled(&dev, &id, "delivered").await;
    assert_eq!(gateway.requests().len(), 1);
}

#[tokio::test]
async fn a_gateway_that_did_not_take_a_message_cannot_say_what_became_of_it() {
    let gateway = SmsGateway::start();
    let url = format!("{}/send?ref={{{{id}}}}", gateway.url());
    let of = |name: &str, key: &str, value: &str| (format!("STENTOR__SMS__PROVIDER__{name}__{key}"), value.to_owned());
    let mut settings = vec![("STENTOR__SMS__PROVIDERS".to_owned(), "gw,other".to_owned())];
    for name in ["GW", "OTHER"] {
        let receipts =
            [("URL", url.as_str()), ("RECEIPTS__SECRET", SECRET), ("RECEIPTS__REFERENCE", "ref"), ("RECEIPTS__STATUS", "status")];
        settings.extend(receipts.map(|(key, value)| of(name, key, value)));
        settings.push(of(name, "RECEIPTS__DELIVERED", "1"));
    }
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let dev = Dev::start_with(&settings);
    let id = send(&dev).await;
    let reference = gateway.requests()[0]["query"]["ref"].as_str().unwrap().to_owned();
    let url = format!("{}/v1/callbacks/sms/other?secret={SECRET}&ref={reference}&status=1", dev.api.url);
    assert_eq!(answer(stentor_tests::client().request(Method::GET, url)).await.0, StatusCode::NOT_FOUND);
    assert_eq!(delivery(&dev, &id).await["state"], "sent");
}
