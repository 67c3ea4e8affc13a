//! The gateways that are known by name, against the shapes that their public documentation shows. The pages are named in
//! the presets themselves (`src/sms/presets`).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use stentor_channels::{OutboundMessage, Providers, SendError, Sent, SentTemplate, SmsConfig, SmsMessage};
use stentor_domain::{Channel, DeliveryId, NotificationId, Timestamp};
use stentor_testkit::{Answer, SmsGateway};

const TEXT: &str = "还款 ¥5 & more";

fn id() -> DeliveryId {
    DeliveryId::new(
        NotificationId::new(Timestamp::from_millis(1_790_000_000_000), &[7; 10]),
        &"u1".parse().unwrap(),
        Channel::Sms,
    )
}

fn providers(settings: &Value) -> Providers {
    let config: SmsConfig =
        serde_json::from_value(json!({ "providers": ["gw"], "provider": { "gw": settings } })).expect("settings");
    Providers::sms(&config).expect("the settings work")
}

async fn send(settings: &Value, text: &str) -> Result<Sent, SendError> {
    let message = SmsMessage::new(id(), "+8613711112222".parse().expect("a number"), text.into());
    providers(settings).send(&OutboundMessage::Sms(message)).await
}

/// Sends with each answer in turn; what came of it: the message's id, or the kind of error and its words.
async fn outcomes(gateway: &SmsGateway, settings: &Value, answers: &[Answer]) -> Vec<String> {
    let mut outcomes = Vec::new();
    for answer in answers {
        gateway.answer(std::slice::from_ref(answer));
        outcomes.push(match send(settings, TEXT).await {
            Ok(sent) => sent.message_id.unwrap_or_default(),
            Err(SendError::Transient { detail, provider_down, .. }) => format!("transient {provider_down} {detail}"),
            Err(SendError::Permanent { detail, .. }) => format!("permanent {detail}"),
            Err(SendError::Unknown { detail, .. }) => format!("unknown {detail}"),
        });
    }
    outcomes
}

fn form(request: &Value) -> Value {
    let fields = url::form_urlencoded::parse(request["body"].as_str().unwrap_or_default().as_bytes());
    fields.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect::<serde_json::Map<_, _>>().into()
}

#[tokio::test]
async fn kannel() {
    let gateway = SmsGateway::start();
    let url = format!("{}/cgi-bin/sendsms?username=u&password=p%26", gateway.url());
    let settings = json!({ "preset": "kannel", "url": url, "from": "Bank", "callback_url": "http://127.0.0.1:1/v1/callbacks/sms/gw",
        "receipts": { "secret": "0123456789abcde&" } });
    let answers = [
        Answer::body(202, "0: Accepted for delivery"),
        Answer::body(202, "3: Queued for later delivery"),
        Answer::body(503, "Temporal failure, try again later."),
        Answer::body(503, "<h1>proxy</h1>"),
        Answer::body(403, "Authorization failed for sendsms"),
        Answer::body(200, "<html>Welcome</html>"),
    ];
    let expected = [
        "",
        "",
        "transient true the gateway answered 503",
        "unknown the gateway answered 503",
        "permanent the gateway answered 403",
        "unknown the gateway answered 200, with a page for people",
    ];
    assert_eq!(outcomes(&gateway, &settings, &answers).await, expected);
    let report =
        format!("http://127.0.0.1:1/v1/callbacks/sms/gw?secret=0123456789abcde%26&reference={}&status=%d&answer=%A", id());
    let asked = json!({ "username": "u", "password": "p&", "from": "Bank", "to": "+8613711112222", "text": TEXT, "charset": "UTF-8",
        "coding": "2", "dlr-mask": "19", "dlr-url": report });
    assert_eq!(gateway.requests()[0]["query"], asked);
    let plain = json!({ "preset": "kannel", "url": format!("{}/cgi-bin/sendsms", gateway.url()) });
    gateway.answer(&[Answer::body(202, "0: Accepted for delivery")]);
    send(&plain, "Due: 5 € [now]").await.unwrap();
    let asked = json!({ "to": "+8613711112222", "text": "Due: 5 € [now]", "charset": "UTF-8", "coding": "0" });
    assert_eq!(gateway.requests().last().unwrap()["query"], asked);
}

#[tokio::test]
async fn twilio() {
    let gateway = SmsGateway::start();
    let settings = json!({ "preset": "twilio", "username": "AC123", "password": "token", "from": "+15017122661",
        "url": format!("{}/2010-04-01/Accounts/{{{{username}}}}/Messages.json", gateway.url()),
        "callback_url": "https://notify.example.com/v1/callbacks/sms/gw" });
    let created =
        r#"{"account_sid":"AC123","body":"Hi","error_code":null,"sid":"SM0123456789abcdef0123456789abcdef","status":"queued"}"#;
    let refused = r#"{"code":21211,"message":"The 'To' number +86137 is not a valid phone number.","more_info":"https://www.twilio.com/docs/errors/21211","status":400}"#;
    let answers = [
        Answer::body(201, created),
        Answer::body(400, refused),
        Answer::body(429, r#"{"code":20429,"message":"Too Many Requests","status":429}"#),
        Answer::body(500, r#"{"code":20500,"message":"Internal Server Error","status":500}"#),
    ];
    let expected = [
        "SM0123456789abcdef0123456789abcdef",
        "permanent the gateway answered 400: 21211",
        "transient true the gateway answered 429: 20429",
        "unknown the gateway answered 500: 20500",
    ];
    assert_eq!(outcomes(&gateway, &settings, &answers).await, expected);
    let asked = &gateway.requests()[0];
    assert_eq!((&asked["method"], &asked["path"]), (&json!("POST"), &json!("/2010-04-01/Accounts/AC123/Messages.json")));
    assert_eq!(asked["headers"]["authorization"], "Basic QUMxMjM6dG9rZW4=");
    let callback = format!("https://notify.example.com/v1/callbacks/sms/gw?reference={}", id());
    assert_eq!(form(asked), json!({ "To": "+8613711112222", "From": "+15017122661", "Body": TEXT, "StatusCallback": callback }));
}

#[tokio::test]
async fn vonage() {
    let gateway = SmsGateway::start();
    let settings = json!({ "preset": "vonage", "username": "abcd1234", "password": "secret", "from": "AcmeInc",
        "url": format!("{}/sms/json", gateway.url()) });
    let status = |status: &str, words: &str| {
        Answer::body(200, json!({ "message-count": "1", "messages": [{ "status": status, "error-text": words }] }).to_string())
    };
    let taken = r#"{"message-count":"1","messages":[{"to":"447700900000","message-id":"aaaaaaaa-bbbb-cccc-dddd-0123456789ab","status":"0","remaining-balance":"3.14159265","message-price":"0.03330000","network":"12345","client-ref":"my-personal-reference"}]}"#;
    let answers = [
        Answer::body(200, taken),
        status("1", "Throughput Rate Exceeded"),
        status("2", "Missing to param"),
        status("5", "Internal Error"),
    ];
    let expected = [
        "aaaaaaaa-bbbb-cccc-dddd-0123456789ab",
        "transient true the gateway answered 200: Throughput Rate Exceeded",
        "permanent the gateway answered 200: Missing to param, which is no success",
        "unknown the gateway answered 200: Internal Error",
    ];
    assert_eq!(outcomes(&gateway, &settings, &answers).await, expected);
    let asked = json!({ "api_key": "abcd1234", "api_secret": "secret", "from": "AcmeInc", "to": "8613711112222", "text": TEXT,
        "type": "unicode", "client-ref": id().to_string(), "status-report-req": "true" });
    assert_eq!(form(&gateway.requests()[0]), asked);
}

#[tokio::test]
async fn aliyun() {
    let gateway = SmsGateway::start();
    let settings = json!({ "preset": "aliyun", "username": "key", "password": "secret", "url": gateway.url() + "/",
        "values": { "sign_name": "阿里云", "template_code": "SMS_15305****" } });
    let said = |code: &str| Answer::body(200, json!({ "Code": code, "Message": "x", "RequestId": "F655A8D5" }).to_string());
    let taken =
        r#"{"Code":"OK","Message":"OK","BizId":"9006197469364984400","RequestId":"F655A8D5-B967-440B-8683-DAD6FF8DE990"}"#;
    let answers = [
        Answer::body(200, taken),
        said("isv.BUSINESS_LIMIT_CONTROL"),
        said("isp.SYSTEM_ERROR"),
        Answer::body(400, r#"{"Code":"Throttling.User","Message":"x","RequestId":"x"}"#),
        Answer::body(404, r#"{"Code":"InvalidAccessKeyId.NotFound","Message":"x","RequestId":"x"}"#),
    ];
    let expected = [
        "9006197469364984400",
        "permanent the gateway answered 200: isv.BUSINESS_LIMIT_CONTROL, which is no success",
        "unknown the gateway answered 200: isp.SYSTEM_ERROR",
        "transient true the gateway answered 400: Throttling.User",
        "permanent the gateway answered 404: InvalidAccessKeyId.NotFound",
    ];
    assert_eq!(outcomes(&gateway, &settings, &answers).await, expected);
    let asked = &gateway.requests()[0];
    let query = json!({ "OutId": id().to_string(), "PhoneNumbers": "8613711112222", "SignName": "阿里云",
        "TemplateCode": "SMS_15305****", "TemplateParam": json!({ "text": TEXT }).to_string() });
    assert_eq!((&asked["method"], &asked["path"], &asked["query"]), (&json!("POST"), &json!("/"), &query));
    assert_eq!(asked["headers"]["host"], format!("127.0.0.1:{}", gateway.port()), "as it was signed");
    assert_eq!(asked["headers"]["x-acs-action"], "SendSms");
}

#[tokio::test]
async fn tencent() {
    let gateway = SmsGateway::start();
    let settings = json!({ "preset": "tencent", "username": "id", "password": "key", "url": gateway.url() + "/",
        "values": { "sdk_app_id": "2400006666", "sign_name": "Tencent Cloud", "template_id": "1234" } });
    let said = |code: &str, serial: &str| {
        let status = json!({ "SerialNo": serial, "PhoneNumber": "+8613711112222", "Fee": 1, "SessionContext": "test", "Code": code,
            "Message": "x", "IsoCode": "CN" });
        Answer::body(200, json!({ "Response": { "SendStatusSet": [status], "RequestId": "a0aabda6" } }).to_string())
    };
    let refused = |code: &str| {
        Answer::body(
            200,
            json!({ "Response": { "Error": { "Code": code, "Message": "x" }, "RequestId": "ed93f3cb" } }).to_string(),
        )
    };
    let answers = [
        said("Ok", "5000:1045710669157053657849499619"),
        said("FailedOperation.SignatureIncorrectOrUnapproved", ""),
        said("InternalError.Timeout", ""),
        refused("AuthFailure.SignatureFailure"),
        refused("RequestLimitExceeded"),
    ];
    let expected = [
        "5000:1045710669157053657849499619",
        "permanent the gateway answered 200: FailedOperation.SignatureIncorrectOrUnapproved, which is no success",
        "unknown the gateway answered 200: InternalError.Timeout",
        "permanent the gateway answered 200: AuthFailure.SignatureFailure",
        "transient true the gateway answered 200: RequestLimitExceeded",
    ];
    assert_eq!(outcomes(&gateway, &settings, &answers).await, expected);
    let asked = &gateway.requests()[0];
    let body: Value = serde_json::from_str(asked["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        body,
        json!({ "PhoneNumberSet": ["+8613711112222"], "SmsSdkAppId": "2400006666", "SignName": "Tencent Cloud",
        "TemplateId": "1234", "TemplateParamSet": [TEXT], "SessionContext": id().to_string() })
    );
    assert_eq!(asked["headers"]["x-tc-region"], "ap-guangzhou");
}

/// The parameters as each of the two wants them, and which template.
#[tokio::test]
async fn each_template_of_ours_has_one_of_the_vendors_in_its_language() {
    let templates = json!([
        { "template": "verification-code", "locale": "zh", "values": { "template_code": "SMS_1", "template_id": "1" },
          "params": [{ "name": "code", "value": "{{data.code}}" }, { "name": "min", "value": "{{data.minutes}}" }] },
        { "template": "verification-code", "values": { "template_code": "SMS_2", "template_id": "2" } },
        { "template": "welcome", "values": { "template_code": "SMS_3", "template_id": "3" },
          "params": [{ "name": "name", "value": "{{data.nobody}}" }] },
    ]);
    let gateway = SmsGateway::start();
    let of = |preset: &str, own: Value| {
        let mut settings =
            json!({ "preset": preset, "username": "u", "password": "p", "url": gateway.url() + "/", "templates": templates });
        settings["values"] = own;
        let config = json!({ "providers": ["gw"], "provider": { "gw": settings } });
        Providers::sms(&serde_json::from_value(config).expect("settings")).expect("the settings work")
    };
    let aliyun = of("aliyun", json!({ "sign_name": "Bank" }));
    let tencent = of("tencent", json!({ "sign_name": "Bank", "sdk_app_id": "1", "template_id": "0" }));
    let send = async |providers: &Providers, template: Option<(&str, &str)>| {
        let data = json!({ "code": "12\"34", "minutes": 5 }).as_object().expect("an object").clone();
        let template =
            template.map(|(key, locale)| SentTemplate { key: key.into(), locale: locale.parse().expect("a locale"), data });
        let message = SmsMessage::new(id(), "+8613711112222".parse().expect("a number"), TEXT.into());
        let sent = providers.send(&OutboundMessage::Sms(SmsMessage { template, ..message })).await;
        (sent, gateway.requests().pop())
    };
    let asked = async |template| send(&aliyun, template).await.1.expect("a request")["query"].clone();
    let chinese = asked(Some(("verification-code", "zh-CN"))).await;
    assert_eq!(
        (&chinese["TemplateCode"], &chinese["TemplateParam"]),
        (&json!("SMS_1"), &json!(r#"{"code":"12\"34","min":"5"}"#))
    );
    let german = asked(Some(("verification-code", "de"))).await;
    assert_eq!(
        (&german["TemplateCode"], &german["TemplateParam"]),
        (&json!("SMS_2"), &json!(json!({ "text": TEXT }).to_string()))
    );

    let asked = async |template| {
        let request = send(&tencent, template).await.1.expect("a request");
        serde_json::from_str::<Value>(request["body"].as_str().expect("a body")).expect("JSON")
    };
    let chinese = asked(Some(("verification-code", "zh"))).await;
    assert_eq!((&chinese["TemplateId"], &chinese["TemplateParamSet"]), (&json!("1"), &json!(["12\"34", "5"])));
    let other = asked(Some(("order-shipped", "zh"))).await;
    assert_eq!((&other["TemplateId"], &other["TemplateParamSet"]), (&json!("0"), &json!([TEXT])), "by the gateway's own values");

    // What cannot be said is refused, and nobody is asked.
    let before = gateway.requests().len();
    for template in [None, Some(("order-shipped", "zh")), Some(("welcome", "de"))] {
        let (sent, _) = send(&aliyun, template).await;
        assert!(matches!(sent, Err(SendError::Permanent { .. })), "{template:?}: {sent:?}");
    }
    assert_eq!(gateway.requests().len(), before);
}
