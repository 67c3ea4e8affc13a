//! What people answer: STOP, START and HELP, and calls that are none of theirs.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stentor_testkit::SmsGateway;
use stentor_tests::{Dev, answer, client};

const SECRET: &str = "0123456789abcdef";
const SIGNATURE: &str = "dVueR7Ba4EfU49k61nwNYZ4oqIs=";

fn start(gateway: &SmsGateway) -> Dev {
    let url = format!("{}/send?to={{{{to}}}}&text={{{{text}}}}&ref={{{{id}}}}", gateway.url());
    Dev::start_with(&[
        ("STENTOR__SMS__PROVIDERS", "gw,tw,plain"),
        ("STENTOR__SMS__DEFAULT_REGION", "DE"),
        ("STENTOR__SMS__PROVIDER__GW__URL", &url),
        ("STENTOR__SMS__PROVIDER__GW__INCOMING__SECRET", SECRET),
        ("STENTOR__SMS__PROVIDER__GW__INCOMING__FROM", "from"),
        ("STENTOR__SMS__PROVIDER__GW__INCOMING__TEXT", "text"),
        ("STENTOR__SMS__PROVIDER__GW__INCOMING__MESSAGE_ID", "id"),
        ("STENTOR__SMS__PROVIDER__GW__INCOMING__REPLY", "text"),
        ("STENTOR__SMS__PROVIDER__PLAIN__URL", &url),
        ("STENTOR__SMS__PROVIDER__PLAIN__INCOMING__SECRET", SECRET),
        ("STENTOR__SMS__PROVIDER__PLAIN__INCOMING__FROM", "from"),
        ("STENTOR__SMS__PROVIDER__PLAIN__INCOMING__TEXT", "text"),
        ("STENTOR__SMS__PROVIDER__PLAIN__INCOMING__REPLY", "text"),
        ("STENTOR__SMS__PROVIDER__TW__PRESET", "twilio"),
        ("STENTOR__SMS__PROVIDER__TW__USERNAME", "AC1"),
        ("STENTOR__SMS__PROVIDER__TW__PASSWORD", "12345"),
        ("STENTOR__SMS__PROVIDER__TW__FROM", "+15017122661"),
        ("STENTOR__SMS__PROVIDER__TW__CALLBACK_URL", "https://notify.example.com/v1/callbacks/sms/tw"),
        ("STENTOR__SMS__PROVIDER__TW__RECEIPTS__DELIVERED", "delivered"),
        ("STENTOR__SMS__PROVIDER__TW__INCOMING__REPLY", "twiml"),
    ])
}

async fn says(dev: &Dev, id: &str, text: &str) -> (StatusCode, Value) {
    let url = format!("{}/v1/callbacks/sms/gw/incoming?secret={SECRET}", dev.api.url);
    answer(client().request(Method::POST, url).form(&[("from", "491701234567"), ("text", text), ("id", id)])).await
}

async fn listed(dev: &Dev) -> usize {
    dev.api.get("/v1/suppressions?channel=sms").await["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn stop_in_any_language_stops_and_an_old_start_does_not_lift_it() {
    let gateway = SmsGateway::start();
    let dev = start(&gateway);
    let (status, told) = says(&dev, "m1", "退订").await;
    assert_eq!((status, told.as_str().unwrap().starts_with("您已退订")), (StatusCode::OK, true), "{told}");
    assert_eq!(listed(&dev).await, 1);
    let to = json!({"id": "bob", "phone": "0170 1234567"});
    let body = json!({"audience": {"recipients": [to]}, "content": {"title": "Hello"}, "channels": ["sms"]});
    let view = dev.api.completed(&dev.api.send(&body).await).await;
    assert_eq!(view["counts"]["sms"], json!({"skipped": 1}), "{view}");

    let (_, told) = says(&dev, "m2", "Start!").await;
    assert_eq!((told.as_str().unwrap().starts_with("You will get our messages again"), listed(&dev).await), (true, 0));
    says(&dev, "m3", "stop").await;
    says(&dev, "m2", "Start!").await; // replayed
    assert_eq!(listed(&dev).await, 1, "an old START changes nothing");
    assert!(says(&dev, "m4", "help").await.1.as_str().unwrap().contains("Reply STOP"));
    assert_eq!(says(&dev, "m5", "stop it tomorrow, please").await.0, StatusCode::NO_CONTENT);
    assert!(gateway.requests().is_empty());
}

#[tokio::test]
async fn each_language_has_its_words_and_is_answered_in_it() {
    let gateway = SmsGateway::start();
    let dev = start(&gateway);
    let languages = [
        [("STOP", "You will get no more"), ("START", "You will get our messages again"), ("HELP", "These are notifications")],
        [("Stopp.", "Sie erhalten keine"), ("anmelden", "Sie erhalten unsere"), ("Hilfe", "Das sind Nachrichten")],
        [("BAJA", "No recibira mas"), ("Alta", "Volvera a recibir"), ("ayuda", "Son avisos")],
        [("Arrêt", "Vous ne recevrez plus"), ("reprendre", "Vous recevrez de nouveau"), ("AIDE", "Ce sont des messages")],
        [("sair", "Nao recebera mais"), ("Voltar", "Recebera de novo"), ("Ajuda", "Sao avisos")],
        [("Annulla", "Non riceverai"), ("riprendi", "Riceverai di nuovo"), ("AIUTO", "Sono avvisi")],
        [("TD", "您已退订"), ("恢复", "您将重新收到"), ("帮助", "这是与您账户有关")],
        [("إيقاف", "لن تصلك"), ("بدء", "ستصلك رسائلنا"), ("مساعدة", "هذه إشعارات")],
    ];
    for (n, [stop, start, help]) in languages.into_iter().enumerate() {
        for ((word, answer), suppressed) in [(stop, 1), (help, 1), (start, 0)] {
            let (status, told) = says(&dev, &format!("{n}-{word}"), word).await;
            assert!(status == StatusCode::OK && told.as_str().unwrap().starts_with(answer), "{word}: {status} {told}");
            assert_eq!(listed(&dev).await, suppressed, "{word}");
        }
    }
}

/// A gateway that gives no id of a message, and calls with the very same bytes when a person says the same again.
#[tokio::test]
async fn stop_is_obeyed_as_often_as_it_is_said_and_each_of_a_list_by_itself() {
    let gateway = SmsGateway::start();
    let dev = start(&gateway);
    let url = format!("{}/v1/callbacks/sms/plain/incoming?secret={SECRET}", dev.api.url);
    let say = async |text: &str| {
        let form = [("from", "491701234567"), ("text", text)];
        answer(client().request(Method::POST, &url).form(&form)).await
    };
    assert_eq!(say("STOP").await.0, StatusCode::OK);
    assert_eq!((say("START").await.0, listed(&dev).await), (StatusCode::OK, 0));
    assert_eq!(
        (say("STOP").await.0, listed(&dev).await),
        (StatusCode::OK, 1),
        "no replay is told from a person, and STOP is STOP"
    );
    // The second START may be the first, replayed: nothing is done, and nobody is told that it was.
    assert_eq!((say("START").await.0, listed(&dev).await), (StatusCode::NO_CONTENT, 1));

    let all = json!([{"from": "491701234568", "text": "STOP"}, {"text": "STOP"}, {"from": "491701234569", "text": "STOP"}]);
    assert!(answer(client().request(Method::POST, &url).json(&all)).await.0.is_success());
    assert_eq!(listed(&dev).await, 3);
    // ARRÊT in Latin-1
    let latin = client().request(Method::POST, &url).header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(answer(latin.body("from=33612345678&text=ARR%CAT")).await.0, StatusCode::OK);
    assert_eq!(listed(&dev).await, 4);
}

#[tokio::test]
async fn what_the_app_suppressed_itself_is_not_lifted_by_start() {
    let gateway = SmsGateway::start();
    let dev = start(&gateway);
    let (status, _) = dev.api.post("/v1/suppressions", &json!({"channel": "sms", "address": "+491701234567"})).await;
    assert_eq!(status, StatusCode::CREATED);
    says(&dev, "m1", "STOP").await;
    says(&dev, "m2", "START").await;
    assert_eq!(listed(&dev).await, 1);
}

/// The person's own word outlasts the app's, whichever came first, for each recipient of the number and while SQL is away.
#[tokio::test]
async fn stop_outlasts_what_the_app_suppressed_and_lifted_itself() {
    let gateway = SmsGateway::start();
    let dev = start(&gateway);
    let send = async || {
        let to = json!({"id": "bob", "phone": "+491701234567"});
        let body = json!({"audience": {"recipients": [to]}, "content": {"title": "Hello"}, "channels": ["sms"]});
        dev.api.completed(&dev.api.send(&body).await).await["counts"]["sms"].clone()
    };
    let suppress = async || {
        let made = dev.api.post("/v1/suppressions", &json!({"channel": "sms", "address": "+491701234567"})).await;
        assert_eq!(made.0, StatusCode::CREATED);
        made.1["id"].as_str().unwrap().to_owned()
    };
    let lift = async |id: &str| answer(dev.api.request(Method::DELETE, &format!("/v1/suppressions/{id}"))).await.0;
    let reasons = async || {
        let listed = dev.api.get("/v1/suppressions?channel=sms").await["items"].as_array().unwrap().clone();
        let mut reasons: Vec<String> = listed.iter().map(|s| s["reason"].as_str().unwrap().to_owned()).collect();
        reasons.sort();
        reasons
    };
    // The app first, then the person.
    let own = suppress().await;
    says(&dev, "m1", "STOP").await;
    assert_eq!(reasons().await, ["manual", "unsubscribe"]);
    assert_eq!(lift(&own).await, StatusCode::NO_CONTENT);
    assert_eq!((reasons().await, send().await), (vec!["unsubscribe".to_owned()], json!({"skipped": 1})));
    // The person first, then the app, which lifts what is its own by the same id.
    assert_eq!(suppress().await, own);
    assert_eq!(lift(&own).await, StatusCode::NO_CONTENT);
    assert_eq!(send().await, json!({"skipped": 1}), "still STOP");
    // START is for the person's word alone.
    suppress().await;
    says(&dev, "m2", "START").await;
    assert_eq!((reasons().await, send().await), (vec!["manual".to_owned()], json!({"skipped": 1})));
    assert_eq!(lift(&own).await, StatusCode::NO_CONTENT);
    assert_eq!(send().await, json!({"sent": 1}), "nobody is against it any more");
    // Whoever has it in writing may lift a STOP, knowing what it is.
    says(&dev, "m3", "STOP").await;
    let listed = dev.api.get("/v1/suppressions?channel=sms").await["items"][0].clone();
    assert_eq!(lift(listed["id"].as_str().unwrap()).await, StatusCode::NO_CONTENT);
    assert_eq!(send().await, json!({"sent": 1}));
}

#[tokio::test]
async fn who_does_not_prove_itself_changes_nothing() {
    let gateway = SmsGateway::start();
    let dev = start(&gateway);
    let call = |path: &str| client().request(Method::POST, format!("{}/v1/callbacks/sms/{path}", dev.api.url));
    let stop = [("from", "491701234567"), ("text", "STOP"), ("id", "m1")];
    for path in ["gw/incoming", "gw/incoming?secret=0123456789abcdeX", "nobody/incoming", "gw"] {
        assert_eq!(answer(call(path).form(&stop)).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let secret = format!("gw/incoming?secret={SECRET}");
    assert_eq!(answer(call(&secret).form(&[("text", "STOP")])).await.0, StatusCode::UNPROCESSABLE_ENTITY, "from whom?");
    assert_eq!(
        answer(call(&secret).header("content-type", "application/json").body("{")).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let huge = answer(call(&secret).header("content-type", "text/plain").body("x".repeat(300_000))).await.0;
    assert_eq!(huge, StatusCode::PAYLOAD_TOO_LARGE);
    // Twilio signs; this signature is of another body (its own example's).
    let twilio = call("tw/incoming").header("x-twilio-signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    assert_eq!(
        answer(twilio.form(&[("From", "+491701234567"), ("Body", "STOP"), ("MessageSid", "SM1")])).await.0,
        StatusCode::NOT_FOUND
    );
    // HMAC-SHA1 under "12345" of the URL, then BodySTOPFrom+491701234567MessageSidSM1.
    let twilio = call("tw/incoming").header("x-twilio-signature", SIGNATURE);
    let (status, told) = answer(twilio.form(&[("From", "+491701234567"), ("Body", "STOP"), ("MessageSid", "SM1")])).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert!(told.as_str().unwrap().contains("<Response><Message>You will get no more messages"), "{told}");
    assert_eq!(listed(&dev).await, 1);
}
