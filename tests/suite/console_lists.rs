//! Lists of the console: each pages, each row is on one page, and each page has an address of its own.

use reqwest::StatusCode;
use serde_json::{Value, json};
use stentor_tests::{Dev, eventually};

use crate::operator::{Browser, bury, cli};

/// What stands between `before` and the next quote, tag or underscore, wherever `before` is.
fn all(html: &str, before: &str) -> Vec<String> {
    let end = |c: char| matches!(c, '"' | '<' | '_' | '?' | '&' | '#');
    html.split(before).skip(1).map(|part| part.split(end).next().unwrap().to_owned()).collect()
}

/// Where the link called `name` leads.
fn link(html: &str, name: &str) -> Option<String> {
    let before = html.split(&format!(">{name}</a>")).next().filter(|before| before.len() < html.len())?;
    let place = before.rsplit("href=\"").next()?.split('"').next()?;
    let place = place.replace("&#38;", "&").replace("&amp;", "&");
    Some(place.split('#').next()?.to_owned())
}

/// Goes through all pages of a list by its link, and gives what `rows` finds on each.
async fn walk(browser: &Browser, first: &str, next: &str, rows: impl Fn(&str) -> Vec<String>) -> Vec<Vec<String>> {
    let (mut pages, mut place) = (Vec::new(), Some(first.to_owned()));
    while let Some(at) = place {
        assert!(pages.len() < 20, "{first} never ends");
        let html = browser.page(&at).await;
        pages.push(rows(&html));
        place = link(&html, next);
    }
    pages
}

/// That all of `count` rows are there, each once, in pages of `size`.
fn holds(what: &str, pages: &[Vec<String>], count: usize, size: usize) {
    let sizes: Vec<usize> = pages.iter().map(Vec::len).collect();
    assert_eq!(sizes.len(), count.div_ceil(size), "{what}: {sizes:?}");
    assert!(sizes[..sizes.len() - 1].iter().all(|n| *n == size), "{what}: {sizes:?}");
    let mut rows: Vec<&String> = pages.iter().flatten().collect();
    rows.sort();
    rows.dedup();
    assert_eq!(rows.len(), count, "{what}: {sizes:?}");
}

#[tokio::test]
async fn what_an_app_has_is_listed_in_pages() {
    let dev = Dev::start();
    let browser = Browser::signed_in(&dev).await;
    let token = browser.token().await;
    for n in 0..59 {
        let name = format!("k{n}");
        let form = [("csrf", token.as_str()), ("name", name.as_str()), ("scope", "read")];
        let made = browser.send(browser.client.post(format!("{}/console/keys?app=demo", browser.url)).form(&form), true).await;
        assert_eq!(made.status, StatusCode::OK, "{}", made.html);
    }
    // with the one that `stentor dev` made; a revoked one is on the last page
    let keys = |html: &str| all(html, "<td class=\"mono\">stn_live_");
    holds("keys", &walk(&browser, "/console/keys", "More keys", keys).await, 60, 50);
    let newest = keys(&browser.page("/console/keys").await).remove(0);
    browser.post(&format!("/console/keys/{newest}/revoke?app=demo"), &[]).await;
    let pages = walk(&browser, "/console/keys?app=demo", "More keys", keys).await;
    holds("keys, one of them revoked", &pages, 60, 50);
    assert_eq!(pages[1].last(), Some(&newest));

    for n in 0..21 {
        cli(&dev.text("database_url"), &["operator", "create", &format!("o{n}")]);
    }
    let operators = |html: &str| all(html, "/console/audit?operator=");
    holds("operators", &walk(&browser, "/console/keys", "More operators", operators).await, 22, 20);
    // one list goes on where it was while the other is turned
    let second = link(&browser.page("/console/keys").await, "More keys").unwrap();
    let both = link(&browser.page(&second).await, "More operators").unwrap();
    let html = browser.page(&both).await;
    assert_eq!((keys(&html).len(), operators(&html).len()), (10, 2));

    let words = |n: usize| {
        let content = format!("+++\ntitle = \"Title {n}\"\nsummary = \"x\"\n+++\n\nWords.\n");
        json!({"template.toml": "title = \"T\"\nchannels = [\"inbox\"]\ndefault_locale = \"en\"\n",
            "schema.json": "{\"type\": \"object\", \"additionalProperties\": false}", "samples/a.json": "{}", "en/content.md": content})
    };
    let shared = all(&browser.page("/console/templates").await, "/console/templates/").len();
    for n in 0..60 - shared {
        let (status, receipt) =
            dev.api.put(&format!("/v1/templates/t-{n}"), &json!({"files": words(n), "publish": n % 2 == 0})).await;
        assert_eq!(status, StatusCode::OK, "{receipt}");
    }
    // those that are live and those that are drafts make one list
    let templates = |html: &str| all(html, "<th class=\"lead\"><a href=\"/console/templates/");
    holds("templates", &walk(&browser, "/console/templates", "Next", templates).await, 60, 50);

    bury(&dev.text("redis_url"), "demo", (0..60).map(|n| format!("j{n}"))).await;
    let letters = |html: &str| all(html, "name=\"id\" value=\"");
    eventually("all are dead letters", async || {
        (walk(&browser, "/console/dead-letters", "Next", letters).await.iter().flatten().count() == 60).then_some(())
    })
    .await;
    holds("dead letters", &walk(&browser, "/console/dead-letters?queue=sms&reason=decoded", "Next", letters).await, 60, 50);

    // each of these deeds is in the log
    let log = |html: &str| all(html, "<code>key.create</code> ");
    holds("audit", &walk(&browser, "/console/audit?action=key.create", "Older", log).await, 60, 50);
}

#[tokio::test]
async fn what_a_person_has_is_listed_in_pages_each_list_by_itself() {
    let dev = Dev::start();
    let browser = Browser::signed_in(&dev).await;
    dev.api.put("/v1/recipients/maria", &json!({"email": "maria@example.com", "phone": "+4915112345678"})).await;
    for n in 0..45 {
        let (status, _) = dev.api.put(&format!("/v1/topics/t{n:02}/recipients/maria"), &json!({})).await;
        assert!(status.is_success());
    }
    for n in 0..45 {
        let (channel, address) = if n % 2 == 0 { ("email", "maria@example.com") } else { ("sms", "+4915112345678") };
        let suppression = json!({"channel": channel, "address": address, "category": format!("c{n}")});
        let (status, answer) = dev.api.post("/v1/suppressions", &suppression).await;
        assert!(status.is_success(), "{answer}");
    }
    let batch: Vec<Value> = (0..45)
        .map(|n| json!({"audience": {"recipients": ["maria"]}, "content": {"title": format!("n{n}")}, "channels": ["inbox"]}))
        .collect();
    let (_, answer) = dev.api.post("/v1/notifications/batch", &json!({"notifications": batch})).await;
    for result in answer["results"].as_array().unwrap() {
        dev.api.completed(result["id"].as_str().unwrap()).await;
    }
    let choices: serde_json::Map<String, Value> = (0..45).map(|n| (format!("c{n:02}"), json!({"email": false}))).collect();
    let (status, _) = dev.api.put("/v1/recipients/maria/preferences", &json!({"channels": {}, "categories": choices})).await;
    assert!(status.is_success());
    let place = "/console/recipients/maria";
    let topics = |html: &str| all(html, "/console/topics/").into_iter().filter(|id| !id.is_empty()).collect();
    let lifts = |html: &str| all(html, "/suppressions/").into_iter().map(|id| id.replace("/lift", "")).collect();
    let part = |heading: &'static str| {
        move |html: &str| {
            let section = html.split(&format!("aria-labelledby=\"{heading}\"")).nth(1).unwrap_or_default();
            all(section.split("</section>").next().unwrap(), "/console/notifications/")
        }
    };
    eventually("all is on record", async || {
        let pages = walk(&browser, place, "Older suppressions", lifts).await;
        (pages.iter().flatten().count() == 45).then_some(())
    })
    .await;
    holds("topics", &walk(&browser, place, "More topics", topics).await, 45, 20);
    let wishes =
        |html: &str| all(html, "<tr><th scope=\"row\">").into_iter().filter(|category| category.starts_with('c')).collect();
    holds("preferences", &walk(&browser, place, "More categories", wishes).await, 45, 20);
    holds("suppressions", &walk(&browser, place, "Older suppressions", lifts).await, 45, 20);
    holds("items", &walk(&browser, place, "Older items", part("h-inbox")).await, 45, 20);
    let token = dev.api.token("maria").await;
    for result in &answer["results"].as_array().unwrap()[..21] {
        let archive = format!("/v1/inbox/items/{}/archive", result["id"].as_str().unwrap());
        assert_eq!(dev.api.as_person(reqwest::Method::POST, &archive, &token, None).await.0, StatusCode::OK);
    }
    let archived = link(&browser.page(place).await, "Archived").unwrap();
    holds("archived items", &walk(&browser, &archived, "Older items", part("h-inbox")).await, 21, 20);
    let inbox = link(&browser.page(&archived).await, "Inbox").unwrap();
    holds("the others", &walk(&browser, &inbox, "Older items", part("h-inbox")).await, 24, 20);
    holds("deliveries", &walk(&browser, place, "Older deliveries", part("h-deliveries")).await, 45, 20);

    // a page of one list keeps those of the others; one of the last page is lifted
    let second = link(&browser.page(place).await, "More topics").unwrap();
    let html = browser.page(&second).await;
    let both = browser.page(&link(&html, "Older suppressions").unwrap()).await;
    assert_eq!(topics(&both), topics(&html));
    let last = walk(&browser, place, "Older suppressions", lifts).await.pop().unwrap().pop().unwrap();
    let lifted = browser.post(&format!("{place}/suppressions/{last}/lift?app=demo"), &[]).await;
    assert!(browser.page(&lifted.place.unwrap()).await.contains("this address is written to again"));
    let wrong = browser.see(&format!("{place}?suppressions=yesterday")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", wrong.html);

    // over HTTP the topics page as every list does
    let first = dev.api.get("/v1/recipients/maria/topics?limit=44").await;
    let rest = dev.api.get(&format!("/v1/recipients/maria/topics?limit=44&after={}", first["next"].as_str().unwrap())).await;
    assert_eq!((first["items"].as_array().unwrap().len(), &rest["items"], &rest["next"]), (44, &json!(["t44"]), &Value::Null));
}

#[tokio::test]
async fn a_long_story_is_told_in_pages_and_so_is_a_crowd() {
    let dev = Dev::start();
    let browser = Browser::signed_in(&dev).await;
    for n in 0..110 {
        dev.api.put(&format!("/v1/topics/crowd/recipients/p{n:03}"), &json!({})).await;
    }
    let people: Vec<String> = (0..110).map(|n| format!("p{n:03}")).collect();
    let id = dev.api.send(&json!({"audience": {"recipients": people}, "content": {"title": "x"}, "channels": ["inbox"]})).await;
    dev.api.completed(&id).await;
    let place = format!("/console/notifications/{id}");
    let part = |heading: &'static str, before: &'static str| {
        move |html: &str| {
            let section = html.split(&format!("aria-labelledby=\"{heading}\"")).nth(1).unwrap_or_default();
            all(section.split("</section>").next().unwrap(), before)
        }
    };
    let html = browser.page(&place).await;
    assert!(people.iter().all(|id| html.contains(&format!("/console/recipients/{id}?"))), "everybody it is for is named");
    holds("deliveries", &walk(&browser, &place, "More deliveries", part("h-deliveries", "/console/recipients/")).await, 110, 50);
    let whole = dev.api.get(&format!("/v1/notifications/{id}/timeline")).await;
    let steps = whole["events"].as_array().unwrap().len();
    assert!(steps > 220 && whole["next"].is_null(), "{steps}");
    let times = part("h-story", "data-fine>");
    let pages: Vec<usize> = walk(&browser, &place, "Later steps", times).await.iter().map(Vec::len).collect();
    assert_eq!((pages.iter().sum::<usize>(), pages[0] <= 100, pages.len()), (steps, true, 3), "{pages:?}");
    let told = part("h-story", "/console/recipients/");
    let mut told: Vec<String> = walk(&browser, &place, "Later steps", told).await.into_iter().flatten().collect();
    told.sort();
    told.dedup();
    assert_eq!(told, people, "everybody is in the story");

    let (mut events, mut after) = (0, String::new());
    loop {
        let page = dev.api.get(&format!("/v1/notifications/{id}/timeline?limit=50{after}")).await;
        events += page["events"].as_array().unwrap().len();
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(events, steps, "over HTTP as well");
    let wrong =
        dev.api.request(reqwest::Method::GET, &format!("/v1/notifications/{id}/timeline?limit=5001")).send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);

    holds("members", &walk(&browser, "/console/topics/crowd", "Next", part("h-members", "/console/recipients/")).await, 110, 50);
    let people = |html: &str| all(html, "<td class=\"clip lead\"><a href=\"/console/recipients/");
    eventually("all are on record", async || {
        (walk(&browser, "/console/recipients", "Next", people).await.iter().flatten().count() >= 110).then_some(())
    })
    .await;
    for n in 0..60 {
        dev.api.put(&format!("/v1/topics/other-{n:02}"), &json!({})).await;
    }
    let topics = |html: &str| all(html, "<td class=\"clip lead\"><a href=\"/console/topics/");
    holds("topics", &walk(&browser, "/console/topics", "Next", topics).await, 61, 50);
}

#[tokio::test]
async fn many_apps_are_found_by_typing_and_listed_in_pages() {
    let dev = Dev::start();
    let browser = Browser::signed_in(&dev).await;
    let database = dev.text("database_url");
    let make = |name: &str| cli(&database, &["app", "create", name]);
    for n in 0..59 {
        make(&format!("shop-{n:02}"));
        if n == 48 {
            let html = browser.page("/console/notifications?app=shop-07").await;
            assert!(html.contains("<option selected>shop-07</option>"), "fifty are chosen from: {html}");
        }
    }
    make("zoo");
    // with the one that `stentor dev` made
    let ids = |html: &str| {
        html.split("<td class=\"clip lead\"><a")
            .skip(1)
            .map(|part| part.split(['>', '<']).nth(1).unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    holds("apps", &walk(&browser, "/console/apps?to=/console/topics", "Next", ids).await, 61, 50);
    assert_eq!(ids(&browser.page("/console/apps?find=P-4").await).len(), 10, "by any part, in any case");

    let html = browser.page("/console/topics?app=zoo").await;
    assert!(html.contains("name=\"open\" value=\"zoo\"") && !html.contains("shop-01"), "they are not all on each page: {html}");
    let offered = browser.page("/console/apps/offered?open=shop").await;
    assert_eq!(offered.matches("<option").count(), 20, "{offered}");
    assert_eq!(browser.page("/console/apps/offered?open=zo").await.trim(), "<option value=\"zoo\">zoo</option>");
    let opened = browser.see("/console/apps?to=/console/topics&open=zoo").await;
    assert_eq!(opened.place.as_deref(), Some("/console/topics?app=zoo"));
    assert_eq!(ids(&browser.page("/console/apps?to=/console/topics&open=oo").await), ["zoo"], "what names none is looked for");
    let elsewhere = browser.see("/console/apps?to=https://example.com&open=zoo").await;
    assert_eq!(elsewhere.place.as_deref(), Some("/console?app=zoo"));
    assert_eq!(browser.see("/console/topics?app=nobody").await.status, StatusCode::NOT_FOUND);
    assert!(browser.page("/console").await.contains("Nothing happened yet"), "the overview is of all of them");
}
