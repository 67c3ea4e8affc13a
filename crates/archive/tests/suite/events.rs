//! The writer: twice, in large batches, and past what SQL refuses.

use stentor_domain::{DeliveryState, Event, EventKind, ItemState, Timestamp, event::DeliveryReport};

use crate::support::{Fixture, accepted, app, at, changed, delivery, id, item, on_both, person, report};

on_both! {
    what_is_written_twice_is_there_once
    large_batches_go_in
    what_sql_refuses_is_buried_and_its_neighbours_are_written
    what_was_read_goes_on_record_as_it_was
    who_was_called_is_not_forgotten
}

/// A notification's life: one delivery that fails twice, and an item that is seen, read and put away.
fn life(n: u64) -> Vec<Event> {
    use DeliveryState::{Delivered, Queued, Scheduled, Sent};
    let step = |state, attempt| {
        delivery(DeliveryReport { reason: Some(format!("{state} {attempt}")), ..report(n, "u1", state, attempt) })
    };
    let mark = |rev: i64| Some(at(rev));
    let (seen, read) = (
        ItemState { seen_at: mark(1), ..ItemState::default() },
        ItemState { seen_at: mark(1), read_at: mark(2), archived_at: None },
    );
    let rev = |k: u64| 1_000 * n + k;
    vec![
        step(Queued, 0),
        step(Scheduled, 1),
        step(Scheduled, 2),
        step(Sent, 3),
        step(Delivered, 3),
        changed("u1", n, rev(1), seen),
        changed("u1", n, rev(2), read),
        changed("u1", n, rev(3), ItemState { archived_at: mark(3), ..read }),
    ]
}

async fn rows(f: &Fixture) -> String {
    let mut all = Vec::new();
    for n in 1..=6 {
        let deliveries = f.archive.list_deliveries(&app(), id(n), None, 10).await.unwrap();
        let items = f.archive.find_items(&app(), &person("u1"), &[id(n)]).await.unwrap();
        let events = f.archive.list_events(&app(), id(n), None, 100).await.unwrap().0.len();
        all.push(format!("{deliveries:?} {items:?} {events}"));
    }
    all.join("\n")
}

async fn what_is_written_twice_is_there_once(f: Fixture) {
    let mut events: Vec<Event> = (1..=6).flat_map(|n| [accepted(n), item("u1", n)]).collect();
    events.extend((1..=6).flat_map(life));
    f.write(&events).await;
    let once = rows(&f).await;
    f.write(&events).await;
    f.write(&[events.clone(), events.clone()].concat()).await;
    assert_eq!(rows(&f).await, once);
    assert_eq!(f.archive.list_events(&app(), id(1), None, 100).await.unwrap().0.len(), 10, "2 and 8 facts concern it");
}

async fn large_batches_go_in(f: Fixture) {
    let events: Vec<Event> = (1..=3_000).flat_map(|n| [accepted(n), delivery(report(n, "u1", DeliveryState::Sent, 1))]).collect();
    f.write(&events).await;
    for n in [1, 2_999, 3_000] {
        assert_eq!(f.archive.list_deliveries(&app(), id(n), None, 10).await.unwrap().len(), 1);
    }
}

async fn what_sql_refuses_is_buried_and_its_neighbours_are_written(f: Fixture) {
    // A variant is at most 255 long: PostgreSQL refuses a longer one, and NUL in a text; SQLite takes both.
    let nul = delivery(DeliveryReport { reason: Some("a\0b".into()), ..report(5, "u1", DeliveryState::Failed, 1) });
    let mut events: Vec<Event> = (1..=9).map(accepted).collect();
    events.insert(4, nul.clone());
    let written = f.archive.write_events(&events).await.unwrap();
    for n in 1..=9 {
        assert!(f.archive.find_notification(&app(), id(n)).await.unwrap().is_some(), "{n}");
    }
    let buried: Vec<_> = written.buried.iter().map(|(id, _)| *id).collect();
    let kept = f.archive.list_deliveries(&app(), id(5), None, 10).await.unwrap();
    assert_eq!(buried.len() + kept.len(), 1, "written or buried: {written:?}, {kept:?}");
    assert!(buried.iter().all(|id| *id == nul.id));
    assert_eq!(f.archive.write_events(&events).await.unwrap().buried.len(), buried.len(), "buried again without an error");
}

async fn what_was_read_goes_on_record_as_it_was(f: Fixture) {
    let sent =
        |n, reason: &str| delivery(DeliveryReport { reason: Some(reason.into()), ..report(n, "u1", DeliveryState::Sent, 1) });
    let mut events: Vec<Event> = (1..=9).map(|n| sent(n, "as it is understood")).collect();
    events[4] = sent(5, "a\0b"); // PostgreSQL refuses it, and the batch is halved
    let read_from: Vec<String> =
        (1..=9).map(|n| serde_json::to_string(&sent(n, &format!("as it was said: {n}"))).unwrap()).collect();
    let read_from: Vec<&str> = read_from.iter().map(String::as_str).collect();
    f.archive.write_read_events(&events, &read_from).await.unwrap();
    for n in [1, 2, 3, 4, 6, 7, 8, 9] {
        let (told, _) = f.archive.list_events(&app(), id(n), None, 10).await.unwrap();
        assert_eq!(told, [sent(n, &format!("as it was said: {n}"))]);
    }
}

async fn who_was_called_is_not_forgotten(f: Fixture) {
    let sent = DeliveryReport {
        provider: Some("main".into()),
        provider_message_id: Some("<1@example.com>".into()),
        ..report(1, "u1", DeliveryState::Sent, 1)
    };
    f.write(&[delivery(sent), delivery(report(1, "u1", DeliveryState::Delivered, 1))]).await;
    f.write(&[delivery(report(1, "u1", DeliveryState::Bounced, 1))]).await;
    let delivery = &f.archive.list_deliveries(&app(), id(1), None, 10).await.unwrap()[0];
    assert_eq!(delivery.state, DeliveryState::Bounced);
    // The batch that folds two reports keeps the newer; the statement that meets the row keeps what it knew.
    f.write(&[crate::support::delivery(DeliveryReport {
        provider: Some("main".into()),
        ..report(2, "u1", DeliveryState::Sent, 1)
    })])
    .await;
    f.write(&[crate::support::delivery(report(2, "u1", DeliveryState::Delivered, 1))]).await;
    let delivery = &f.archive.list_deliveries(&app(), id(2), None, 10).await.unwrap()[0];
    assert_eq!((delivery.state, delivery.provider.as_deref()), (DeliveryState::Delivered, Some("main")));
    assert_eq!(
        delivery.updated_at,
        Timestamp::from_millis(crate::support::BEGIN + i64::from(DeliveryState::Delivered.version(1)))
    );
    let none = EventKind::Dispatched { notification: id(2), deliveries: 1, error: None };
    f.write(&[Event::new(app(), at(1), none)]).await;
}
