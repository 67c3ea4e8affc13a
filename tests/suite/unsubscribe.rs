//! The way out of mails: the page for people, one click for mail programs.

use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use stentor_testkit::read_mail;
use stentor_tests::{Dev, client, eventually, files};

fn mail(category: Option<&str>, locale: &str) -> Value {
    let mut body = json!({
        "audience": {"recipients": [{"id": "eve", "email": "eve@example.com", "locale": locale}]},
        "content": {"title": "Hello", "body_markdown": "Hello"}, "channels": ["email"],
    });
    if let Some(category) = category {
        body["category"] = json!(category);
    }
    body
}

/// Sends a mail and gives its link.
async fn link(dev: &Dev, category: Option<&str>, locale: &str) -> String {
    let before = files(&dev.outbox("mail"), "eml").len();
    dev.api.send(&mail(category, locale)).await;
    let path = eventually("a mail", async || files(&dev.outbox("mail"), "eml").get(before).cloned()).await;
    let raw = std::fs::read_to_string(path).unwrap().replace("\r\n ", " ");
    let header = raw.lines().find_map(|line| line.strip_prefix("List-Unsubscribe: ")).expect("a link");
    header.trim().trim_matches(['<', '>']).to_owned()
}

async fn counts(dev: &Dev, category: Option<&str>) -> Value {
    dev.api.completed(&dev.api.send(&mail(category, "en")).await).await["counts"]["email"].clone()
}

#[tokio::test]
async fn one_click_of_a_mail_program_is_enough_and_holds_for_the_category() {
    let dev = Dev::start();
    let url = link(&dev, Some("news"), "en").await;
    assert!(url.starts_with(&format!("{}/unsubscribe/demo.", dev.api.url)) && !url.contains("eve"), "{url}");
    // whatever scans mails follows links: to look changes nothing
    let page = client().get(&url).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    for (name, value) in
        [("cache-control", "no-store"), ("referrer-policy", "no-referrer"), ("x-content-type-options", "nosniff")]
    {
        assert_eq!(page.headers()[name], value);
    }
    assert!(page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("default-src 'none'"));
    assert_eq!(counts(&dev, Some("news")).await, json!({"sent": 1}));
    // RFC 8058: a form, no cookie, no login, no redirect
    let form =
        client().post(&url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body("List-Unsubscribe=One-Click");
    assert_eq!(form.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(counts(&dev, Some("news")).await, json!({"skipped": 1}));
    assert_eq!(counts(&dev, Some("billing")).await, json!({"sent": 1}));
    let listed = dev.api.get("/v1/suppressions").await;
    let item = &listed["items"][0];
    assert_eq!(
        (&item["address"], &item["category"], &item["reason"]),
        (&json!("eve@example.com"), &json!("news"), &json!("unsubscribe"))
    );
}

#[tokio::test]
async fn a_person_decides_on_a_page_in_their_language_and_may_take_it_back() {
    let dev = Dev::start();
    for (locale, lang, dir, words) in [
        ("de-AT", "de", "ltr", "Keine E-Mails mehr zu „news“"),
        ("zh-CN", "zh-CN", "ltr", "不再接收"),
        ("ar", "ar", "rtl", "هل تريد إيقاف"),
        ("en", "en", "ltr", "No more mails about “news”"),
    ] {
        let page = client().get(link(&dev, Some("news"), locale).await).send().await.unwrap().text().await.unwrap();
        assert!(page.contains(&format!("<html lang=\"{lang}\" dir=\"{dir}\">")) && page.contains(words), "{page}");
        assert!(page.contains("<bdi>eve@example.com</bdi>"), "{page}");
    }
    let url = link(&dev, Some("news"), "en").await;
    let press = async |wish: &str| {
        let body = format!("wish={wish}");
        let call = client().post(&url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        let answer = call.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.text().await.unwrap()
    };
    let page = press("all").await;
    assert!(page.contains("You are unsubscribed") && page.contains("value=\"undo-all\""), "{page}");
    assert_eq!(counts(&dev, Some("billing")).await, json!({"skipped": 1}));
    assert!(press("undo-all").await.contains("You are subscribed again"));
    assert_eq!(counts(&dev, Some("billing")).await, json!({"sent": 1}));
    // what bounced stays so, whatever is wished
    let bounced = json!({"channel": "email", "address": "eve@example.com", "reason": "hard_bounce"});
    assert_eq!(dev.api.post("/v1/suppressions", &bounced).await.0, StatusCode::CREATED);
    press("all").await;
    press("undo-all").await;
    assert_eq!(counts(&dev, Some("billing")).await, json!({"skipped": 1}));
}

#[tokio::test]
async fn a_link_that_is_not_ours_does_nothing_and_says_so() {
    let dev = Dev::start();
    let url = link(&dev, None, "en").await;
    let forged = format!("{}x", &url[..url.len() - 3]);
    for bad in [forged.as_str(), &format!("{}/unsubscribe/nobody.AAAA", dev.api.url), &format!("{}/unsubscribe/x", dev.api.url)] {
        for call in [client().get(bad), client().post(bad).body("List-Unsubscribe=One-Click")] {
            let answer = call.header(header::ACCEPT_LANGUAGE, "tlh, de;q=0.8").send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{bad}");
            assert!(answer.text().await.unwrap().contains("Dieser Link funktioniert nicht"));
        }
    }
    assert_eq!(dev.api.get("/v1/suppressions").await["items"], json!([]));
    // a mail without a category is of all: the one button says so
    let page = client().get(&url).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Stop all mails from Harbour Bank") && !page.contains("value=\"these\""), "{page}");
}

/// Redis has what was said last; SQL may lag behind it.
#[tokio::test]
async fn a_wish_is_kept_whatever_the_record_still_says() {
    let dev = Dev::start();
    let url = link(&dev, None, "en").await;
    let press = async |wish: &str| {
        let answer = client().post(&url).body(format!("wish={wish}")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    };
    press("all").await;
    // As after "undo" whose fact has not reached SQL.
    let redis = redis::Client::open(dev.text("redis_url")).unwrap();
    let mut redis = redis.get_multiplexed_async_connection().await.unwrap();
    let (key, field) = ("stentor:suppressed:{demo}", "email eve@example.com ");
    let held: String = redis::cmd("HGET").arg(key).arg(field).query_async(&mut redis).await.unwrap();
    let at: i64 = held.strip_suffix(" unsubscribe").unwrap().parse().unwrap();
    redis::cmd("HSET").arg(key).arg(field).arg(format!("{} -", at + 1)).query_async::<()>(&mut redis).await.unwrap();
    press("all").await;
    assert_eq!(counts(&dev, None).await, json!({"skipped": 1}));
}

/// The next mail, as a mail program reads it.
async fn next(dev: &Dev, body: &Value) -> Value {
    let before = files(&dev.outbox("mail"), "eml").len();
    dev.api.send(body).await;
    let path = eventually("a mail", async || files(&dev.outbox("mail"), "eml").get(before).cloned()).await;
    read_mail(&std::fs::read_to_string(path).unwrap())
}

#[tokio::test]
async fn the_way_out_is_seen_at_the_foot_of_the_mail_in_its_language_whoever_wrote_it() {
    let dev = Dev::start();
    let by_template = |locale: &str| {
        json!({"audience": {"recipients": [{"id": "eve", "email": "eve@example.com", "locale": locale}]},
            "template": "welcome", "data": {"name": "Eve"}, "channels": ["email"]})
    };
    let mut own = mail(Some("news"), "fr-FR");
    own["content"]["email"] = json!({"html": "<p>Bonjour</p>", "text": "Bonjour"});
    for (body, label) in [
        (by_template("en"), "Unsubscribe"),
        (by_template("de-AT"), "Abbestellen"),
        (by_template("zh-CN"), "退订"),
        (by_template("ar"), "إلغاء الاشتراك"),
        (mail(Some("news"), "en"), "Unsubscribe"),
        (own, "Se désabonner"),
    ] {
        let read = next(&dev, &body).await;
        let url = read["headers"]["list-unsubscribe"].as_str().unwrap().trim_matches(['<', '>']).to_owned();
        let (text, html) = (read["parts"][0]["text"].as_str().unwrap(), read["parts"][1]["text"].as_str().unwrap());
        assert!(text.trim_end().ends_with(&format!("{label}: {url}")), "{text}");
        let link = html.find(&format!("href=\"{url}\"")).unwrap_or_else(|| panic!("{label}: {html}"));
        assert!(html[link..].contains(&format!(">{label}</a>")), "{label}: {html}");
    }
}

#[tokio::test]
async fn essential_mails_carry_no_way_out() {
    let dev = Dev::start_with(&[("STENTOR__EMAIL__ESSENTIAL", "security")]);
    let read = next(&dev, &mail(Some("security"), "en")).await;
    assert!(read["headers"].get("list-unsubscribe").is_none());
    for part in read["parts"].as_array().unwrap() {
        assert!(!part["text"].as_str().unwrap().to_lowercase().contains("unsubscribe"), "{part}");
    }
}
