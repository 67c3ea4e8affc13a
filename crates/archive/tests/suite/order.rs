//! Facts in any order, in any portions, and by two writers at the same time: the same rows in the end.

use stentor_archive::{Archive, ArchivedInbox, NotificationFilter};
use stentor_domain::{DeliveryState, Event, EventKind, ItemState, item::Folder};
use stentor_testkit::Postgres;

use crate::support::{
    Fixture, accepted, app, at, changed, delivery, id, item, item_recalled, item_updated, on_both, person, recalled, report,
    shuffled, updated,
};

on_both! {
    the_order_of_writing_leaves_no_trace
    a_recall_told_before_its_item_holds
    what_was_done_is_kept_though_the_item_is_told_later
    what_is_said_otherwise_is_kept_though_the_item_is_told_later
    a_new_card_does_not_undo_what_was_done_before_it
    nothing_is_read_of_what_is_not_told_yet
    the_first_time_of_a_recall_stays
}

fn read(rev: i64) -> ItemState {
    ItemState { seen_at: Some(at(rev)), read_at: Some(at(rev)), archived_at: None }
}

async fn titles(f: &Archive, n: u64) -> Vec<String> {
    let found = f.find_items(&app(), &person("u1"), &[id(n)]).await.unwrap();
    found.into_iter().map(|found| found.item.card.read().unwrap().title).collect()
}

/// Everything that may be told of a notification and its item.
fn life(n: u64) -> Vec<Event> {
    use DeliveryState::{Delivered, Queued, Scheduled, Sent};
    let rev = |k: u64| 1_000 * n + k;
    let done = read(1);
    let mut facts = vec![
        accepted(n),
        item("u1", n),
        delivery(report(n, "u1", Queued, 0)),
        delivery(report(n, "u1", Scheduled, 1)),
        delivery(report(n, "u1", Sent, 2)),
        delivery(report(n, "u1", Delivered, 2)),
        changed("u1", n, rev(1), ItemState { seen_at: done.seen_at, ..ItemState::default() }),
        changed("u1", n, rev(2), done),
        updated(n, 3),
        item_updated("u1", n, Some(rev(3)), 3),
        changed("u1", n, rev(4), ItemState { archived_at: Some(at(4)), ..done }),
        updated(n, 5),
        item_updated("u1", n, None, 5),
    ];
    if n.is_multiple_of(3) {
        facts.extend([item_recalled("u1", n, rev(6)), recalled(n)]);
    }
    facts
}

async fn rows(f: &Fixture) -> String {
    let mut all = Vec::new();
    for n in 1..=6 {
        let notification = f.archive.find_notification(&app(), id(n)).await.unwrap();
        let deliveries = f.archive.list_deliveries(&app(), id(n), None, 10).await.unwrap();
        let items = f.archive.find_items(&app(), &person("u1"), &[id(n)]).await.unwrap();
        let events = f.archive.list_events(&app(), id(n), None, 100).await.unwrap().0.len();
        all.push(format!("{notification:?} {deliveries:?} {items:?} {events}"));
    }
    all.join("\n")
}

async fn the_order_of_writing_leaves_no_trace(f: Fixture) {
    let facts: Vec<Event> = (1..=6).flat_map(life).collect();
    f.write(&facts).await;
    let expected = rows(&f).await;
    for needle in ["Delivered", "archived_at: Some", "n-1 anew 5", "recalled_at: Some"] {
        assert!(expected.contains(needle), "{needle}: {expected}");
    }
    for seed in 0..6 {
        let other = Fixture::new(seed % 2 == 0).await;
        for portion in shuffled(facts.clone(), seed).chunks(1 + usize::try_from(seed).unwrap() * 5) {
            other.write(portion).await;
        }
        assert_eq!(rows(&other).await, expected, "seed {seed}");
        for portion in shuffled(facts.clone(), seed + 6).chunks(7) {
            other.write(portion).await;
        }
        assert_eq!(rows(&other).await, expected, "seed {seed}, told again");
    }
}

async fn a_recall_told_before_its_item_holds(f: Fixture) {
    f.write(&[item_recalled("u1", 1, 2)]).await;
    f.write(&[item("u1", 1), item("u1", 2)]).await;
    assert_eq!(titles(&f.archive, 1).await, [""; 0]);
    let page = f.archive.inbox_page(&app(), &person("u1"), Folder::Inbox, None, 10, at(0)).await.unwrap();
    assert_eq!(page.iter().map(|item| item.seq).collect::<Vec<_>>(), [2]);
    let inbox = f.archive.load_inbox(&app(), &person("u1"), at(0)).await.unwrap();
    assert_eq!((inbox.unread.len(), inbox.items.len(), inbox.max_seq), (1, 1, Some(2)));

    f.write(&[recalled(1)]).await;
    f.write(&[accepted(1)]).await;
    assert_eq!(f.archive.find_notification(&app(), id(1)).await.unwrap().unwrap().recalled_at, Some(at(1)));
}

async fn what_was_done_is_kept_though_the_item_is_told_later(f: Fixture) {
    f.write(&[changed("u1", 1, 5, read(5))]).await;
    f.write(&[changed("u1", 1, 4, ItemState::default())]).await;
    f.write(&[item("u1", 1)]).await;
    let found = &f.archive.find_items(&app(), &person("u1"), &[id(1)]).await.unwrap()[0];
    assert_eq!((found.item.state, found.item.rev, found.seq, found.at), (read(5), 5, 1, at(1)));
    assert!(f.archive.load_inbox(&app(), &person("u1"), at(0)).await.unwrap().unread.is_empty());
}

async fn what_is_said_otherwise_is_kept_though_the_item_is_told_later(f: Fixture) {
    f.write(&[item_updated("u1", 1, Some(7), 7), updated(1, 7)]).await;
    f.write(&[item_updated("u1", 1, Some(6), 6), updated(1, 6)]).await;
    f.write(&[item("u1", 1), accepted(1)]).await;
    assert_eq!(titles(&f.archive, 1).await, ["n-1 anew 7"]);
    assert_eq!(f.archive.find_notification(&app(), id(1)).await.unwrap().unwrap().notification.version(), 7);
}

async fn a_new_card_does_not_undo_what_was_done_before_it(f: Fixture) {
    f.write(&[item("u1", 1), item_updated("u1", 1, Some(6), 6)]).await;
    f.write(&[changed("u1", 1, 5, read(5))]).await;
    let found = &f.archive.find_items(&app(), &person("u1"), &[id(1)]).await.unwrap()[0];
    assert_eq!((found.item.state, found.item.rev), (read(5), 6));
}

async fn nothing_is_read_of_what_is_not_told_yet(f: Fixture) {
    f.write(&[recalled(1), recalled(2), changed("u1", 1, 5, read(5)), item_updated("u1", 2, None, 6)]).await;
    for n in [1, 2] {
        assert_eq!(f.archive.find_notification(&app(), id(n)).await.unwrap(), None);
        assert_eq!(titles(&f.archive, n).await, [""; 0]);
    }
    let found = f.archive.search_notifications(&app(), &NotificationFilter::default(), None, 10).await.unwrap();
    assert_eq!((found.items, found.next), (Vec::new(), None));
    assert_eq!(f.archive.inbox_page(&app(), &person("u1"), Folder::Inbox, None, 10, at(0)).await.unwrap(), []);
    assert_eq!(f.archive.load_inbox(&app(), &person("u1"), at(0)).await.unwrap(), ArchivedInbox::default());

    f.write(&[accepted(3)]).await;
    let found = f.archive.search_notifications(&app(), &NotificationFilter::default(), None, 10).await.unwrap();
    assert_eq!(found.items.iter().map(|n| n.notification.id).collect::<Vec<_>>(), [id(3)]);
}

async fn the_first_time_of_a_recall_stays(f: Fixture) {
    let told = |millis| Event::new(app(), at(millis), EventKind::Recalled { notification: id(1) });
    f.write(&[accepted(1), told(1)]).await;
    f.write(&[told(2)]).await;
    assert_eq!(f.archive.find_notification(&app(), id(1)).await.unwrap().unwrap().recalled_at, Some(at(1)));
}

/// Writes `first` in one transaction, and `second` in another while that one is open with all rows of `first` but its last.
async fn write_at_once(first: &[Event], second: &[Event]) -> (Postgres, Archive) {
    let postgres = Postgres::start();
    let archive = Archive::connect(&postgres.url()).await.unwrap();
    archive.migrate().await.unwrap();
    // What a batch counts comes last: with this locked, it stands still with all else written.
    let counted = delivery(report(99, "u9", DeliveryState::Sent, 1));
    let held = postgres.hold("LOCK TABLE activity IN ACCESS EXCLUSIVE MODE");
    let write = |events: Vec<Event>| {
        let archive = archive.clone();
        tokio::spawn(async move { archive.write_events(&events).await.unwrap() })
    };
    let waiting = || postgres.query("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")[0].clone();
    let first = write([first, &[counted]].concat());
    while waiting() != "1" {
        assert!(!first.is_finished());
    }
    let second = write(second.to_vec());
    // It ends without a look at the first, or waits for it.
    while waiting() != "2" && !second.is_finished() {}
    drop(held);
    first.await.unwrap();
    second.await.unwrap();
    (postgres, archive)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recall_that_is_written_while_its_item_is_holds() {
    let (item, recall) = ([accepted(1), item("u1", 1)], [item_recalled("u1", 1, 2), recalled(1)]);
    for (first, second) in [(&item, &recall), (&recall, &item)] {
        let (_postgres, archive) = write_at_once(first, second).await;
        assert_eq!(titles(&archive, 1).await, [""; 0]);
        assert_eq!(archive.find_notification(&app(), id(1)).await.unwrap().unwrap().recalled_at, Some(at(1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_and_said_while_its_item_is_written_is_kept() {
    let (item, later) = ([accepted(1), item("u1", 1)], [changed("u1", 1, 5, read(5)), item_updated("u1", 1, Some(6), 6)]);
    for (first, second) in [(&item, &later), (&later, &item)] {
        let (_postgres, archive) = write_at_once(first, second).await;
        let found = &archive.find_items(&app(), &person("u1"), &[id(1)]).await.unwrap()[0];
        assert_eq!((found.item.state, found.item.rev, &*found.item.card.read().unwrap().title), (read(5), 6, "n-1 anew 6"));
    }
}
