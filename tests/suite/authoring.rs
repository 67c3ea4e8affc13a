//! Templates over HTTP: published, seen before anyone receives them, taken back; and what was accepted keeps its words.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stentor_testkit::{Postgres, RedisServer};
use stentor_tests::{
    Api, Dev, at, eventually,
    serve::{Process, Serve, bank, settings, sqlite},
    stentor,
};

/// The files of a template that says `words` in English and German.
fn files(words: &str) -> Value {
    let content = |title: &str| {
        format!("+++\ntitle = \"{title} {{{{name}}}}\"\nsummary = \"{words}\"\n+++\n\n{words}, **{{{{name}}}}**.\n")
    };
    json!({
        "template.toml": "title = \"Greeting\"\ncategory = \"social\"\nchannels = [\"inbox\"]\ndefault_locale = \"en\"\n",
        "schema.json": r#"{"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": false}"#,
        "samples/ada.json": r#"{"name": "Ada"}"#,
        "en/content.md": content("Hello"),
        "de/content.md": content("Hallo"),
    })
}

async fn publish(api: &Api, words: &str) -> Value {
    let (status, receipt) = api.put("/v1/templates/greeting", &json!({"files": files(words), "publish": true})).await;
    assert_eq!((status, &receipt["live"]), (StatusCode::OK, &json!(true)), "{receipt}");
    receipt
}

fn greeting(to: &str) -> Value {
    json!({"audience": {"recipients": [to]}, "template": "greeting", "data": {"name": "Bo"}, "channels": ["inbox"]})
}

async fn summaries(api: &Api, recipient: &str) -> Vec<String> {
    let page = api.get(&format!("/v1/recipients/{recipient}/inbox")).await;
    page["items"].as_array().unwrap().iter().map(|item| item["summary"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_template_is_previewed_published_compared_and_taken_back() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let serve = Serve::start(&redis.url(), &sqlite(&dir), &[]).await;
    let api = &serve.api;

    // Seen before it is saved, and nothing is saved by it.
    let (status, seen) =
        api.post("/v1/templates/greeting/preview", &json!({"files": files("Nice to see you"), "locale": "de-AT"})).await;
    assert_eq!(status, StatusCode::OK, "{seen}");
    assert_eq!((&seen["locale"], &seen["inbox"]["title"]), (&json!("de"), &json!("Hallo Ada")), "{seen}");
    assert!(seen["email"]["html"].as_str().unwrap().contains("<strong>Ada</strong>"), "{seen}");
    assert_eq!((&seen["sms"]["text"], &seen["sms"]["segments"]), (&json!("Nice to see you"), &json!(1)));
    assert_eq!(api.request(Method::GET, "/v1/templates/greeting").send().await.unwrap().status(), StatusCode::NOT_FOUND);

    // A mistake is named by file, line and column, and changes nothing.
    let mut bad = files("One");
    bad["en/content.md"] = json!("+++\ntitle = \"Hello {{nme}}\"\n+++\n\n{{#if name}}a\n");
    let (status, problem) = api.put("/v1/templates/greeting", &json!({"files": bad, "publish": true})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("bad_template")), "{problem}");
    let finding = problem["findings"].as_array().unwrap().iter().find(|f| f["line"] == 5).unwrap();
    assert_eq!((&finding["file"], &finding["severity"]), (&json!("en/content.md"), &json!("error")), "{problem}");
    assert_eq!(problem["errors"][0]["pointer"], "/files/en~1content.md");

    let one = publish(api, "One").await;
    assert_eq!(publish(api, "One").await["version"], one["version"], "the same files are the same version");
    let two = publish(api, "Two").await;
    assert_eq!((&one["number"], &two["number"]), (&json!(1), &json!(2)));
    let view = api.get("/v1/templates/greeting").await;
    assert_eq!((&view["template"]["origin"], &view["number"], &view["live"]), (&json!("own"), &json!(2), &json!(true)), "{view}");
    assert_eq!(view["files"]["samples/ada.json"], r#"{"name": "Ada"}"#);
    assert!(view["shared_files"]["_layouts/email.mjml"].as_str().unwrap().contains("<mjml"), "it keeps its layout");

    let diff = api.get("/v1/templates/greeting/diff?from=1").await;
    let changed: Vec<&str> = diff["files"].as_array().unwrap().iter().map(|f| f["file"].as_str().unwrap()).collect();
    assert_eq!(changed, ["de/content.md", "en/content.md"]);
    assert!(diff["files"][1]["diff"].as_str().unwrap().contains("-One, **{{name}}**.\n+Two, **{{name}}**."), "{diff}");

    // Whoever began from an older version is told, not overwritten.
    let late = json!({"files": files("Three"), "publish": true, "base": one["version"]});
    let (status, problem) = api.put("/v1/templates/greeting", &late).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("conflict")), "{problem}");

    // One step back, one step forth, and to any version.
    let back = async |body: Value| {
        let (status, answer) = api.post("/v1/templates/greeting/rollback", &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["number"].clone()
    };
    assert_eq!(back(json!({})).await, json!(1));
    let id = api.send(&greeting("u1")).await;
    api.completed(&id).await;
    assert_eq!(summaries(api, "u1").await, ["One"]);
    assert_eq!(back(json!({})).await, json!(2));
    assert_eq!(back(json!({"to": "3"})).await, json!(3), "what was refused as late is on record as a draft");
    let versions = api.get("/v1/templates/greeting/versions").await;
    let live: Vec<_> = versions["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (v["number"].as_u64().unwrap(), v["live"].as_bool().unwrap()))
        .collect();
    assert_eq!(live, [(3, true), (2, false), (1, false)]);
    assert!(versions["items"][2]["released_at"].is_string());
}

#[tokio::test]
async fn an_apps_own_template_hides_the_shared_one_for_this_app_alone() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let settings = settings(&redis.url(), &sqlite(&dir), &[]);
    let bank = bank(&settings);
    let _process = Process::start(&settings).await;
    let cli = |args: &[&str]| {
        let output = stentor().args(["--json"]).args(args).envs(settings.iter().cloned()).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    cli(&["app", "create", "news"]);
    let key = cli(&["key", "create", "--app", "news", "--scopes", "send,read"]);
    let news = Api::new(&bank.url, key["api_key"].as_str().unwrap());

    let shared = bank.get("/v1/templates/welcome").await;
    assert_eq!(shared["template"]["origin"], "shared");
    let mut own = shared["files"].clone();
    own["en/content.md"] = json!(own["en/content.md"].as_str().unwrap().replace("Welcome", "Come in"));
    let (status, receipt) = bank.put("/v1/templates/welcome", &json!({"files": own, "publish": true, "base": "shared"})).await;
    assert_eq!(status, StatusCode::OK, "{receipt}");
    let listed = bank.get("/v1/templates").await;
    let welcome = listed["items"].as_array().unwrap().iter().find(|t| t["key"] == "welcome").unwrap();
    assert_eq!((&welcome["origin"], &welcome["overrides"]), (&json!("own"), &json!(true)));

    assert_eq!(news.get("/v1/templates/welcome").await["template"]["version"], shared["template"]["version"]);
    let version = receipt["version"].as_str().unwrap();
    let theirs = news.request(Method::GET, &format!("/v1/templates/welcome?version={version}")).send().await.unwrap();
    assert_eq!(theirs.status(), StatusCode::NOT_FOUND, "another app's version");
    let (status, problem) = news.put("/v1/templates/welcome", &json!({"files": own, "publish": true})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("scope")));

    let (status, answer) = bank.post("/v1/templates/welcome/rollback", &json!({})).await;
    assert_eq!((status, &answer["version"]), (StatusCode::OK, &Value::Null), "back to the shared one: {answer}");
    assert_eq!(bank.get("/v1/templates/welcome").await["template"]["origin"], "shared");
}

#[tokio::test]
async fn what_was_accepted_keeps_its_words_through_a_publication_and_a_restart() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let settings = settings(&redis.url(), &sqlite(&dir), &[]);
    let api = bank(&settings);
    let mut process = Process::start(&settings).await;
    publish(&api, "One").await;
    let mut scheduled = greeting("u1");
    scheduled["send_at"] = json!(at(2.0));
    let id = api.send(&scheduled).await;
    publish(&api, "Two").await;
    process.restart().await;
    api.completed(&id).await;
    let now = api.send(&greeting("u2")).await;
    api.completed(&now).await;
    assert_eq!((summaries(&api, "u1").await, summaries(&api, "u2").await), (vec!["One".to_owned()], vec!["Two".to_owned()]));
}

#[tokio::test]
async fn what_was_accepted_while_sql_is_down_is_said_afterwards_in_the_version_that_was_live() {
    let (redis, mut postgres) = (RedisServer::start(), Postgres::start());
    let settings = settings(&redis.url(), &postgres.url(), &[]);
    let api = bank(&settings);
    let mut process = Process::start(&settings).await;
    publish(&api, "One").await;
    publish(&api, "Two").await;
    let before = api.send(&greeting("u0")).await;
    api.completed(&before).await;
    postgres.kill();
    let mut accepted = Vec::new();
    for n in 1..=5 {
        accepted.push((format!("u{n}"), api.send(&greeting(&format!("u{n}"))).await));
    }
    // Whoever goes on afterwards has nothing in memory: the version comes from SQL alone.
    process.kill();
    postgres.restart();
    process.restart().await;
    publish(&api, "Three").await;
    for (recipient, id) in accepted {
        api.completed(&id).await;
        assert_eq!(summaries(&api, &recipient).await, ["Two"], "{recipient}");
    }
}

#[tokio::test]
async fn what_one_process_publishes_the_others_say_at_once() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let (here, there) = (settings(&redis.url(), &sqlite(&dir), &[]), settings(&redis.url(), &sqlite(&dir), &[]));
    let a = bank(&here);
    let _a = Process::start(&here).await;
    let _b = Process::start(&there).await;
    let (_, listen) = there.iter().find(|(name, _)| name == "STENTOR__HTTP__LISTEN").unwrap();
    let b = Api::new(&format!("http://{listen}"), &a.key);
    for n in 1..=5 {
        let version = publish(&a, &format!("Number {n}")).await["version"].clone();
        // Far sooner than the ten seconds for which a pointer is believed.
        let began = std::time::Instant::now();
        stentor_tests::eventually("the other process says it", async || {
            let view = b.get("/v1/templates/greeting?version=live").await;
            (view["template"]["version"] == version).then_some(())
        })
        .await;
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    }
}

/// Runs `calls` so that the first has read what is live, and waits to move it, before the second begins, and both go on together: SQL
/// holds the template's row until both wait for it. It does not change the row: who finds it changed stands in line again, behind the second.
async fn at_once(postgres: &Postgres, api: &Api, calls: [Value; 2]) -> [(StatusCode, Value); 2] {
    let waiting = async |n: &str| {
        let who = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        eventually("they wait for the row", async || (postgres.query(who) == [n]).then_some(())).await;
    };
    let held = postgres.hold("DO $$ BEGIN PERFORM 1 FROM templates WHERE key = 'greeting' FOR UPDATE; END $$");
    let [first, second] = calls.map(|body| {
        let api = api.clone();
        async move { api.post("/v1/templates/greeting/rollback", &body).await }
    });
    let first = tokio::spawn(first);
    waiting("1").await;
    let second = tokio::spawn(second);
    waiting("2").await;
    drop(held);
    [first.await.unwrap(), second.await.unwrap()]
}

#[tokio::test]
async fn two_who_go_back_at_once_take_one_step_and_none_undoes_what_it_did_not_see() {
    let (redis, postgres) = (RedisServer::start(), Postgres::start());
    let serve = Serve::start(&redis.url(), &postgres.url(), &[]).await;
    let api = &serve.api;
    for words in ["One", "Two", "Three"] {
        publish(api, words).await;
    }
    let live = async || api.get("/v1/templates/greeting").await["number"].clone();
    let [first, second] = at_once(&postgres, api, [json!({}), json!({})]).await;
    assert_eq!((first.0, &first.1["number"]), (StatusCode::OK, &json!(2)), "{}", first.1);
    assert_eq!(first, second, "both took the same step");
    assert_eq!(live().await, 2, "and it is one");
    // Who goes back from the second finds that somebody else has brought back the first meanwhile.
    let [first, second] = at_once(&postgres, api, [json!({"to": "1"}), json!({})]).await;
    assert_eq!((first.0, &first.1["number"]), (StatusCode::OK, &json!(1)), "{}", first.1);
    assert_eq!((second.0, &second.1["code"]), (StatusCode::CONFLICT, &json!("conflict")), "{}", second.1);
    assert_eq!(live().await, 1);
}

#[tokio::test]
async fn who_publishes_over_what_was_not_heard_of_is_told_or_heard() {
    let (redis, postgres) = (RedisServer::start(), Postgres::start());
    let serve = Serve::start(&redis.url(), &postgres.url(), &[]).await;
    let api = &serve.api;
    let (one, two) = (publish(api, "One").await, publish(api, "Two").await);
    // Another process brings back the first, and its message is lost: this one believes in the second for ten seconds.
    let unheard = |released: u32| {
        let hash = one["version"].as_str().unwrap();
        postgres.query(&format!(
            "UPDATE templates SET live = '{hash}', released = {released} WHERE app = 'bank' AND key = 'greeting'; \
             INSERT INTO template_releases (app, key, number, hash, at) VALUES ('bank', 'greeting', {released}, '{hash}', 1)"
        ));
    };
    let live = || postgres.query("SELECT live FROM templates WHERE app = 'bank' AND key = 'greeting'");
    let version = |receipt: &Value| vec![receipt["version"].as_str().unwrap().to_owned()];
    assert_eq!(api.get("/v1/templates/greeting").await["number"], 2);
    unheard(3);
    assert_eq!(api.get("/v1/templates/greeting").await["number"], 2, "it has not heard");
    let body = json!({"files": files("Three"), "publish": true, "base": two["version"]});
    let (status, problem) = api.put("/v1/templates/greeting", &body).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("conflict")), "{problem}");
    assert_eq!(live(), version(&one), "nothing is overwritten");
    // Without a word of what was live before, what is believed to be live already is made live.
    assert_eq!(publish(api, "Two").await["version"], two["version"]);
    assert_eq!(live(), version(&two));
    unheard(5);
    let (status, answer) = api.post("/v1/templates/greeting/rollback", &json!({})).await;
    assert_eq!((status, &answer["number"]), (StatusCode::OK, &json!(2)), "one step back from what is live in truth: {answer}");
    assert_eq!(live(), version(&two));
}

#[tokio::test]
async fn a_test_goes_to_one_person_in_the_language_asked_for_and_changes_nothing_else() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let serve = Serve::start(&redis.url(), &sqlite(&dir), &[]).await;
    let api = &serve.api;
    publish(api, "One").await;
    let body = json!({"to": "me", "files": files("Draft"), "sample": "ada", "locale": "de"});
    let (status, receipt) = api.post("/v1/templates/greeting/test", &body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{receipt}");
    let view = api.completed(receipt["id"].as_str().unwrap()).await;
    assert_eq!((&view["metadata"]["test"], &view["template_version"]), (&json!(true), &receipt["version"]));
    let page = api.get("/v1/recipients/me/inbox").await;
    assert_eq!((&page["items"][0]["title"], &page["items"][0]["summary"]), (&json!("Hallo Ada"), &json!("Draft")), "{page}");
    assert_eq!(api.get("/v1/templates/greeting").await["number"], 1, "what was tested is not live");
    assert_eq!(api.get("/v1/templates/greeting/versions").await["items"].as_array().unwrap().len(), 1, "and no version");
    let fresh = json!({"to": "me", "files": files("New"), "channels": ["inbox"]});
    let (status, receipt) = api.post("/v1/templates/never-saved/test", &fresh).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{receipt}");
    api.completed(receipt["id"].as_str().unwrap()).await;
    let unsaved = api.request(Method::GET, "/v1/templates/never-saved").send().await.unwrap();
    assert_eq!(unsaved.status(), StatusCode::NOT_FOUND, "to test is not to save");
    let next = api.send(&greeting("me")).await;
    api.completed(&next).await;
    assert_eq!(api.get("/v1/recipients/me/inbox").await["items"][0]["title"], "Hello Bo", "their own language is as it was");
}

#[tokio::test]
async fn a_test_goes_to_a_number_as_it_is_dialled_at_home() {
    let dev = Dev::start();
    let to = json!({"id": "ida", "phone": "0170 1234567", "locale": "de-DE"});
    let (status, told) = dev.api.post("/v1/templates/welcome/test", &json!({"to": to, "channels": ["sms"]})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
    let path = eventually("an SMS", async || stentor_tests::files(&dev.outbox("sms"), "json").pop()).await;
    let sms: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(sms["to"], "+491701234567");
    let nowhere = json!({"id": "ida2", "phone": "0170 1234567"});
    let (status, problem) = dev.api.post("/v1/templates/welcome/test", &json!({"to": nowhere, "channels": ["sms"]})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
}
