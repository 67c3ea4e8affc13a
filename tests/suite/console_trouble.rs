//! The console when something is wrong: SQL is down, or a page is asked for what it cannot understand.

use std::time::{Duration, Instant};

use reqwest::{StatusCode, header};
use serde_json::json;
use stentor_testkit::{Postgres, RedisServer};
use stentor_tests::{Dev, eventually, serve::Serve};

use crate::operator::{Browser, cli};

#[tokio::test]
async fn with_sql_down_each_page_says_so_and_shows_what_it_can() {
    let (redis, mut postgres) = (RedisServer::start(), Postgres::start());
    let serve = Serve::start(&redis.url(), &postgres.url(), &[]).await;
    let key = cli(&postgres.url(), &["operator", "create", "Grace"])["operator_key"].as_str().unwrap().to_owned();
    let browser = Browser::signed_in_at(&serve.api.url, &key).await;
    let content = json!({"audience": {"recipients": ["u1"]}, "content": {"title": "Hello"}});
    let id = serve.api.send(&content).await;
    serve.api.completed(&id).await;
    let token = browser.token().await;
    postgres.kill();

    let works = ["/console", "/console/queues", "/console/dead-letters", "/console/providers?app=bank"];
    let one = format!("/console/notifications/{id}?app=bank");
    let cannot = ["/console/notifications", one.as_str(), "/console/recipients/u1?app=bank", "/console/audit"];
    let expected =
        works.map(|path| (path, StatusCode::OK)).into_iter().chain(cannot.map(|path| (path, StatusCode::SERVICE_UNAVAILABLE)));
    for (path, status) in expected {
        let began = Instant::now();
        let seen = browser.see(path).await;
        assert_eq!(seen.status, status, "{path}: {}", seen.html);
        assert!(
            seen.html.contains("The archive (SQL) does not answer.") && seen.html.contains("aria-current"),
            "{path}: {}",
            seen.html
        );
        assert_eq!(seen.html.matches("The archive (SQL) does not answer").count(), 1, "{path} says it once: {}", seen.html);
        assert!(began.elapsed() < Duration::from_secs(5), "{path} takes {:?}", began.elapsed());
    }
    let overview = browser.page("/console").await;
    assert!(overview.contains("inbox, last hour: not known") && !overview.contains(">0</a>"), "no count is made up: {overview}");
    // what would have to be put on record is not done
    let form = || vec![("csrf", token.as_str())];
    let recall = browser.client.post(format!("{}/console/notifications/{id}/recall?app=bank", browser.url)).form(&form());
    let refused = browser.send(recall, true).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    // but signing out is
    let out = browser.send(browser.client.post(format!("{}/console/logout", browser.url)).form(&form()), true).await;
    assert!(out.headers[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"), "{}", out.html);
    assert_eq!(browser.see("/console").await.status, StatusCode::SEE_OTHER, "the session is over");
    let door = Browser::at(&serve.api.url).sign_in(&key).await;
    assert_eq!(door.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(door.html.contains("The archive (SQL) does not answer"), "{}", door.html);

    postgres.restart();
    let browser = eventually("it is back", async || {
        let mut browser = Browser::at(&serve.api.url);
        (browser.sign_in(&key).await.status == StatusCode::SEE_OTHER).then_some(browser)
    })
    .await;
    let page = browser.page(&one).await;
    assert!(page.contains("Hello") && !page.contains("does not answer"), "{page}");
    assert!(serve.api.get(&format!("/v1/notifications/{id}")).await["recalled_at"].is_null(), "nothing was done in between");
}

#[tokio::test]
async fn what_is_not_understood_is_said_on_a_page() {
    let dev = Dev::start();
    let browser = Browser::signed_in(&dev).await;
    for (path, status) in [
        ("/console/notifications?before=yesterday", StatusCode::BAD_REQUEST),
        ("/console/notifications?channel=a&channel=b", StatusCode::BAD_REQUEST),
        ("/console/notifications?channel=pigeon", StatusCode::UNPROCESSABLE_ENTITY),
        ("/console/audit?before=1", StatusCode::BAD_REQUEST),
        ("/console/notifications/1", StatusCode::NOT_FOUND),
        ("/console/notifications/1/html?channel=inbox", StatusCode::NOT_FOUND),
        ("/console/topics/%0A", StatusCode::NOT_FOUND),
        ("/console/templates/No!", StatusCode::NOT_FOUND),
    ] {
        let seen = browser.see(path).await;
        assert_eq!(seen.status, status, "{path}: {}", seen.html);
        assert!(seen.html.contains("<nav class=\"rail\"") && seen.html.contains("role=\"alert\""), "{path}: {}", seen.html);
    }
    let wrong = browser.see("/console/audit?before=1").await.html;
    assert!(wrong.contains("<a href=\"/console/audit\" aria-current=\"page\">"), "the navigation says where one is: {wrong}");
    let half = browser.post("/console/providers/test?app=demo", &[("channel", "email")]).await;
    assert!(half.status == StatusCode::BAD_REQUEST && half.html.contains("The form is not understood"), "{}", half.html);
    // at the door, where there is no page around it
    let stranger = Browser::new(&dev);
    let twice = stranger.see("/console/login?next=a&next=b").await;
    assert!(twice.status == StatusCode::BAD_REQUEST && twice.html.contains("role=\"alert\""), "{}", twice.html);
    let odd = Browser::new(&dev)
        .send(stranger.client.post(format!("{}/console/login", stranger.url)).form(&[("next", "/console")]), true)
        .await;
    assert!(odd.html.contains("role=\"alert\""), "{}", odd.html);
    let key = dev.text("operator_key");
    let login = stranger
        .client
        .post(format!("{}/console/login", stranger.url))
        .form(&[("key", key.as_str()), ("next", "/console/\u{1}")]);
    let seen = stranger.send(login, true).await;
    assert_eq!((seen.status, seen.place.as_deref()), (StatusCode::SEE_OTHER, Some("/console")));
}

#[tokio::test]
async fn over_plain_http_it_is_said_why_nobody_can_be_let_in() {
    let dev = Dev::start();
    let browser = Browser::new(&dev);
    let key = dev.text("operator_key");
    let form = browser.client.post(format!("{}/console/login", browser.url)).form(&[("key", key.as_str())]);
    let from_afar = form.header(header::HOST, "ops.example").header(header::ORIGIN, "http://ops.example");
    let seen = browser.send(from_afar, false).await;
    assert_eq!(seen.status, StatusCode::FORBIDDEN);
    assert!(
        seen.html.contains("Put TLS in front of the console") && seen.headers.get(header::SET_COOKIE).is_none(),
        "{}",
        seen.html
    );
}
