//! Suppressions: the newest stays, whatever the order of writing; what was lifted is not listed.

use sea_orm::{ConnectionTrait, sea_query::Query};
use stentor_archive::{Archive, SuppressionFilter};
use stentor_domain::{
    AppId, Channel, Event, EventKind, SuppressedAddress, Suppression, SuppressionId, SuppressionReason, Timestamp,
};
use stentor_migrations::{Migrator, MigratorTrait};

use crate::support::{BEGIN, Database, Fixture, on_both};

on_both! {
    the_newest_stays_whatever_the_order
    pages_are_whole_and_filtered_and_of_one_app
    what_a_person_said_outlasts_what_the_app_did
}

fn app(name: &str) -> AppId {
    name.parse().unwrap()
}

fn address(text: &str) -> SuppressedAddress {
    let channel = if text.starts_with('+') { Channel::Sms } else { Channel::Email };
    SuppressedAddress::parse(channel, text).unwrap()
}

fn suppressed(app_name: &str, text: &str, category: Option<&str>, at: i64) -> Event {
    suppressed_for(SuppressionReason::Unsubscribe, app_name, text, category, at)
}

fn suppressed_for(reason: SuppressionReason, app_name: &str, text: &str, category: Option<&str>, at: i64) -> Event {
    let suppression = Suppression { address: address(text), category: category.map(str::to_owned), reason, detail: None };
    let kind = EventKind::Suppressed { suppression: Box::new(suppression), notification: None };
    Event::new(app(app_name), Timestamp::from_millis(BEGIN + at), kind)
}

fn lifted(text: &str, category: Option<&str>, at: i64) -> Event {
    lifted_for(None, text, category, at)
}

fn lifted_for(reason: Option<SuppressionReason>, text: &str, category: Option<&str>, at: i64) -> Event {
    let kind = EventKind::SuppressionLifted { address: address(text), category: category.map(str::to_owned), reason };
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

async fn reasons(archive: &Archive) -> Vec<(String, SuppressionReason)> {
    let found = archive.list_suppressions(&app("demo"), &SuppressionFilter::default(), None, 100).await.unwrap();
    assert!(found.iter().all(|s| s.id == s.suppression.id(&app("demo"))), "{found:?}");
    let mut found: Vec<_> =
        found.into_iter().map(|s| (s.suppression.address.as_str().to_owned(), s.suppression.reason)).collect();
    found.sort_by_key(|(address, reason)| (address.clone(), reason.as_str()));
    found
}

async fn what_a_person_said_outlasts_what_the_app_did(f: Fixture) {
    use SuppressionReason::{Complaint, HardBounce, Manual, Unsubscribe};
    let a = |reason| ("a@example.com".to_owned(), reason);
    let said = |reason, at| suppressed_for(reason, "demo", "a@example.com", None, at);
    let lift = |reason, at| lifted_for(reason, "a@example.com", None, at);
    // In whichever order they came, also in the very same millisecond.
    f.write(&[said(Manual, 1), said(Unsubscribe, 1)]).await;
    assert_eq!(reasons(&f.archive).await, [a(Manual), a(Unsubscribe)]);
    f.write(&[lift(Some(Manual), 2)]).await;
    assert_eq!(reasons(&f.archive).await, [a(Unsubscribe)]);
    f.write(&[said(HardBounce, 3), lift(Some(Unsubscribe), 4)]).await;
    assert_eq!(reasons(&f.archive).await, [a(HardBounce)], "and the other way round");
    // Of one voice the newest word is kept.
    f.write(&[said(Unsubscribe, 5), said(Complaint, 6), said(Manual, 7)]).await;
    assert_eq!(reasons(&f.archive).await, [a(Complaint), a(Manual)]);
    f.write(&[lift(None, 8)]).await;
    assert_eq!(reasons(&f.archive).await, [], "as it was written before the two were told apart");
}

/// What stood in one row before becomes what it would be today.
#[tokio::test]
async fn rows_of_before_are_parted_by_whose_word_they_are() {
    use SuppressionReason::{Complaint, HardBounce, Manual, Unsubscribe};
    for postgres in [false, true] {
        let database = Database::new(postgres);
        let archive = Archive::connect(&database.url).await.unwrap();
        let migrations = Migrator::migrations();
        let place = migrations.iter().position(|m| m.name() == "m20261126_000006_wishes").unwrap();
        let db = sea_orm::Database::connect(&database.url).await.unwrap();
        Migrator::up(&db, Some(u32::try_from(place).unwrap())).await.unwrap();
        let rows = [
            ("a", Manual, false),
            ("b", Unsubscribe, false),
            ("c", HardBounce, false),
            ("d", Complaint, false),
            ("e", Manual, true),
        ];
        for (name, reason, lifted) in rows {
            let (email, category) = (format!("{name}@example.com"), if name == "c" { "news" } else { "" });
            let id = SuppressionId::new(&app("demo"), Channel::Email, &email, category).as_uuid();
            let reason = if lifted { "" } else { reason.as_str() };
            let row = Query::insert()
                .into_table("suppressions")
                .columns(["app", "id", "channel", "address", "category", "reason", "at", "lifted"])
                .values_panic([
                    "demo".into(),
                    id.into(),
                    "email".into(),
                    email.into(),
                    category.into(),
                    reason.into(),
                    (BEGIN + 5).into(),
                    lifted.into(),
                ])
                .to_owned();
            db.execute(&row).await.unwrap();
        }
        archive.migrate().await.unwrap();
        let of = |name: &str, reason| (format!("{name}@example.com"), reason);
        let held = [of("a", Manual), of("b", Unsubscribe), of("c", HardBounce), of("d", Complaint)];
        assert_eq!(reasons(&archive).await, held);
        // What was lifted is not brought back by a fact of before, whoever said it.
        let old = [Manual, Unsubscribe].map(|reason| suppressed_for(reason, "demo", "e@example.com", None, 4));
        archive.write_events(&old).await.unwrap();
        assert_eq!(reasons(&archive).await, held);
        let (stop, start) =
            (suppressed_for(Unsubscribe, "demo", "a@example.com", None, 6), lifted_for(Some(Manual), "a@example.com", None, 7));
        archive.write_events(&[stop, start]).await.unwrap();
        assert_eq!(reasons(&archive).await[0], of("a", Unsubscribe));
    }
}
