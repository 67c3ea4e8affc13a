//! Suppressions: the newest stays, whatever the order of writing; what was lifted is not listed.

use stentor_archive::SuppressionFilter;
use stentor_domain::{AppId, Channel, Event, EventKind, SuppressedAddress, Suppression, SuppressionReason, Timestamp};

use crate::support::{BEGIN, Fixture, on_both};

on_both! {
    the_newest_stays_whatever_the_order
    pages_are_whole_and_filtered_and_of_one_app
}

fn app(name: &str) -> AppId {
    name.parse().unwrap()
}

fn address(text: &str) -> SuppressedAddress {
    let channel = if text.starts_with('+') { Channel::Sms } else { Channel::Email };
    SuppressedAddress::parse(channel, text).unwrap()
}

fn suppressed(app_name: &str, text: &str, category: Option<&str>, at: i64) -> Event {
    let suppression = Suppression {
        address: address(text),
        category: category.map(str::to_owned),
        reason: SuppressionReason::Unsubscribe,
        detail: None,
    };
    let kind = EventKind::Suppressed { suppression: Box::new(suppression), notification: None };
    Event::new(app(app_name), Timestamp::from_millis(BEGIN + at), kind)
}

fn lifted(text: &str, category: Option<&str>, at: i64) -> Event {
    let kind = EventKind::SuppressionLifted { address: address(text), category: category.map(str::to_owned) };
    Event::new(app("demo"), Timestamp::from_millis(BEGIN + at), kind)
}

async fn listed(f: &Fixture, filter: &SuppressionFilter) -> Vec<(String, Option<String>, i64)> {
    let found = f.archive.list_suppressions(&app("demo"), filter, None, 100).await.unwrap();
    found
        .into_iter()
        .map(|s| (s.suppression.address.as_str().to_owned(), s.suppression.category, s.at.as_millis() - BEGIN))
        .collect()
}

async fn the_newest_stays_whatever_the_order(f: Fixture) {
    let all = SuppressionFilter::default();
    let (first, lift, again) = (
        suppressed("demo", "a@example.com", None, 1),
        lifted("a@example.com", None, 2),
        suppressed("demo", "a@example.com", None, 3),
    );
    f.write(&[lift.clone(), first.clone()]).await;
    assert_eq!(listed(&f, &all).await, []);
    f.write(std::slice::from_ref(&first)).await; // told again
    assert_eq!(listed(&f, &all).await, []);
    f.write(std::slice::from_ref(&again)).await;
    f.write(std::slice::from_ref(&lift)).await;
    assert_eq!(listed(&f, &all).await, [("a@example.com".to_owned(), None, 3)]);
    // one category lifted leaves the other
    f.write(&[suppressed("demo", "a@example.com", Some("news"), 4), lifted("a@example.com", None, 5)]).await;
    assert_eq!(listed(&f, &all).await, [("a@example.com".to_owned(), Some("news".to_owned()), 4)]);
    let found = f.archive.list_suppressions(&app("demo"), &all, None, 1).await.unwrap().remove(0);
    assert_eq!(found.id, found.suppression.id(&app("demo")));
    assert_eq!(f.archive.find_suppression(&app("demo"), found.id).await.unwrap(), Some(found.clone()));
    assert_eq!(f.archive.find_suppression(&app("other"), found.id).await.unwrap(), None);
}

async fn pages_are_whole_and_filtered_and_of_one_app(f: Fixture) {
    let mut events: Vec<Event> = (0..25).map(|n| suppressed("demo", &format!("p{n}@example.com"), None, n / 3)).collect();
    events.push(suppressed("demo", "+491701234567", None, 50));
    events.push(suppressed("other", "q@example.com", None, 60));
    f.write(&events).await;
    let demo = app("demo");
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let page = f.archive.list_suppressions(&demo, &SuppressionFilter::default(), after, 4).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.at, last.id));
        all.extend(page);
    }
    assert_eq!(all.len(), 26);
    assert!(all.windows(2).all(|w| w[0].at > w[1].at || (w[0].at == w[1].at && w[0].id < w[1].id)));
    let (mut after, mut scanned) = (None, 0);
    loop {
        let page = f.archive.scan_suppressions(&demo, after, 7).await.unwrap();
        scanned += page.len();
        match page.last() {
            Some(last) => after = Some(last.id),
            None => break,
        }
    }
    assert_eq!(scanned, 26);
    let sms = SuppressionFilter { channel: Some(Channel::Sms), address: None };
    assert_eq!(listed(&f, &sms).await, [("+491701234567".to_owned(), None, 50)]);
    let one = SuppressionFilter { channel: None, address: Some(address("P7@Example.com")) };
    assert_eq!(listed(&f, &one).await, [("p7@example.com".to_owned(), None, 2)]);
}
