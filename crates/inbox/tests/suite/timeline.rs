//! The timeline: one entry for many, and what each makes of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use stentor_domain::{
    Card, Entry, Item, NotificationId, Preferences, RecipientId, Target, Timestamp, TopicId,
    timeline::{EntryBody, Gone},
};
use stentor_inbox::{
    Applied, Change, EntryEdit, Filter, Inboxes, LiveEvent, LiveFeed, NewItem, PagePlace, Position, RETENTION, Reader, Stay,
};

use crate::support::{Fixture, Record, at, card, id, ids, in_time, inboxes, place, recorded};

fn topic(name: &str) -> TopicId {
    name.parse().unwrap()
}

fn body_of(card: Card, target: Target) -> EntryBody {
    EntryBody { id: card.id, target, cards: BTreeMap::from([("en".to_owned(), card)]), default_variant: "en".into() }
}

pub(crate) fn everyone(n: u32) -> EntryBody {
    body_of(card(n), Target::Everyone)
}

fn to(name: &str, n: u32) -> EntryBody {
    body_of(card(n), Target::Topic(topic(name)))
}

/// Writes entries at `now`, and keeps them on record.
pub(crate) async fn append(f: &Fixture, i: &Inboxes, record: &Record, bodies: &[EntryBody], now: Timestamp) -> Vec<Entry> {
    let mut entries = Vec::new();
    for body in bodies {
        let entry = i.timelines().append(&f.app, body, now).await.unwrap();
        record.set_entry(&f.app, entry.clone());
        entries.push(entry);
    }
    entries
}

pub(crate) async fn listed(f: &Fixture, i: &Inboxes, limit: usize, now: Timestamp) -> Vec<NotificationId> {
    let (mut all, mut after): (Vec<NotificationId>, Option<PagePlace>) = (Vec::new(), None);
    loop {
        let page = i.page(&f.app, &f.me, after, limit, now).await.unwrap();
        all.extend(page.items.iter().map(|item| item.item.id));
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

async fn unread(f: &Fixture, i: &Inboxes, now: Timestamp) -> u64 {
    i.overview(&f.app, &f.me, now).await.unwrap().unread
}

/// Waits until Redis's clock has moved on.
async fn next_millisecond(f: &Fixture) {
    let now = async || -> u64 {
        let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(&mut f.conn.clone()).await.unwrap();
        seconds * 1_000 + micros / 1_000
    };
    let before = now().await;
    while now().await == before {}
}

#[tokio::test]
async fn an_entry_is_written_once_and_withdrawn_for_good() {
    let (f, i, record) = inboxes().await;
    i.overview(&f.app, &f.me, at(1)).await.unwrap();
    let first = append(&f, &i, &record, &[everyone(1)], at(1)).await.remove(0);
    let again = append(&f, &i, &record, &[everyone(1)], at(2)).await.remove(0);
    assert_eq!(again, first, "a repeated dispatch changes nothing");
    assert_eq!((unread(&f, &i, at(2)).await, listed(&f, &i, 9, at(2)).await), (1, ids([1])));
    let (recalled, changed) = i.timelines().edit(&f.app, id(1), &EntryEdit::Recall, at(3)).await.unwrap().unwrap();
    assert_eq!((recalled.gone, recalled.seq, recalled.rev, changed), (Some(Gone::Recalled), first.seq, first.rev + 1, true));
    assert_eq!((unread(&f, &i, at(3)).await, listed(&f, &i, 9, at(3)).await), (0, vec![]));
    let update = EntryEdit::Update(Box::new(everyone(1)));
    for edit in [EntryEdit::Recall, update] {
        let again = i.timelines().edit(&f.app, id(1), &edit, at(4)).await.unwrap().unwrap();
        assert_eq!(again, (recalled.clone(), false), "it stays withdrawn");
    }
    assert_eq!(i.timelines().edit(&f.app, id(9), &EntryEdit::Recall, at(4)).await.unwrap(), None);
    assert_eq!(append(&f, &i, &record, &[everyone(1)], at(5)).await, [recalled], "nor does a repeated dispatch bring it back");
}

#[tokio::test]
async fn each_change_is_published_once_and_one_that_was_missed_is_noticed() {
    let (f, i, record) = inboxes().await;
    let (feed, mut events) = LiveFeed::connect(place(&f.redis)).await.unwrap();
    feed.subscribe_timeline(&f.app).await.unwrap();
    let begin = i.timelines().fresh(&f.app, at(1)).await.unwrap().position();
    let brief = Card { expires_at: Some(at(10)), ..card(2) };
    append(&f, &i, &record, &[everyone(1), body_of(brief, Target::Everyone)], at(1)).await;
    i.timelines().edit(&f.app, id(1), &EntryEdit::Recall, at(2)).await.unwrap();
    let mut heard = Vec::new();
    let mut hear = async || match in_time(events.recv()).await.unwrap() {
        LiveEvent::Timeline { app, epoch, entry } => {
            assert_eq!((&app, epoch), (&f.app, begin.epoch));
            heard.push((entry.body.id, entry.rev - begin.rev, entry.gone));
            entry
        }
        other => panic!("{other:?}"),
    };
    let (one, two, recalled) = (hear().await, hear().await, hear().await);
    assert_eq!(i.timelines().apply(&f.app, begin.epoch, &two), Applied::Missing);
    assert_eq!(i.timelines().apply(&f.app, begin.epoch, &one), Applied::Next);
    assert_eq!(i.timelines().apply(&f.app, begin.epoch, &one), Applied::Known);
    assert_eq!(i.timelines().apply(&f.app, begin.epoch + 1, &two), Applied::Missing);
    assert_eq!(i.timelines().apply(&f.app, begin.epoch, &two), Applied::Next);
    assert_eq!(i.timelines().apply(&f.app, begin.epoch, &recalled), Applied::Next);
    assert_eq!(i.timelines().known(&f.app).next_expiry(at(3)), Some(at(10)));
    let applied = i.timelines().known(&f.app);
    assert_eq!(i.timelines().fresh(&f.app, at(3)).await.unwrap(), applied, "what was heard is what there is");
    // whoever looks when its time is over lets it go, once
    i.timelines().fresh(&f.app, at(10)).await.unwrap();
    i.timelines().fresh(&f.app, at(11)).await.unwrap();
    hear().await;
    let expected = [(id(1), 1, None), (id(2), 2, None), (id(1), 3, Some(Gone::Recalled)), (id(2), 4, Some(Gone::Expired))];
    assert_eq!(heard, expected);
    assert_eq!(i.timelines().known(&f.app).next_expiry(at(11)), None);
}

#[tokio::test]
async fn what_is_too_old_is_forgotten_and_a_cursor_before_it_starts_anew() {
    let (f, i, record) = inboxes().await;
    i.overview(&f.app, &f.me, at(1)).await.unwrap();
    let before = i.overview(&f.app, &f.me, at(1)).await.unwrap().cursor;
    let old = append(&f, &i, &record, &[everyone(1)], at(1)).await.remove(0);
    let late = old.at.after(RETENTION + Duration::from_secs(1));
    assert_eq!((unread(&f, &i, at(2)).await, unread(&f, &i, late).await), (1, 0), "also where the copy is older");
    let told = i.changes_since(&f.app, &f.me, &before, 10, late).await.unwrap();
    assert_eq!((told.items, told.removed), (vec![], vec![]));
    let other = Inboxes::new(f.inbox.clone(), record.clone());
    assert_eq!(other.timelines().fresh(&f.app, late).await.unwrap().newest(None).count(), 0);
    assert!(!other.changes_since(&f.app, &f.me, &before, 10, late).await.unwrap().recovered, "it cannot tell what there was");
}

#[tokio::test]
async fn of_two_who_tell_of_memberships_the_one_who_knows_more_stays() {
    let (f, i, record) = inboxes().await;
    i.overview(&f.app, &f.me, at(1)).await.unwrap();
    let entries = append(&f, &i, &record, &[to("red", 1), to("red", 2), to("red", 3)], at(1)).await;
    let seq = |n: usize| entries[n - 1].seq;
    let tell = async |stays: &[Stay]| {
        f.inbox.set_topic(&f.app, &topic("red"), &[(f.me.clone(), stays.to_vec())], at(2)).await.unwrap();
        listed(&f, &i, 9, at(2)).await
    };
    let (joined, left) = (Stay { joined: seq(1), left: None }, Stay { joined: seq(1), left: Some(seq(2)) });
    assert_eq!(tell(&[joined]).await, ids([3, 2]));
    assert_eq!(tell(&[left]).await, ids([2]), "leaving keeps what was written before");
    assert_eq!(tell(&[joined]).await, ids([2]), "said late, it changes nothing");
    assert_eq!(tell(&[left, Stay { joined: seq(2), left: None }]).await, ids([3, 2]));
}

#[tokio::test]
async fn own_items_and_entries_are_marked_in_one_revision_and_strangers_are_missing() {
    let (f, i, record) = inboxes().await;
    i.overview(&f.app, &f.me, at(1)).await.unwrap();
    append(&f, &i, &record, &[everyone(1), to("red", 2), everyone(3)], at(1)).await;
    let own = card(4);
    i.write(&f.app, &[NewItem { recipient: &f.me, card: &own, variant: "en" }], at(1)).await.unwrap();
    let before = i.overview(&f.app, &f.me, at(1)).await.unwrap();
    assert_eq!(before.unread, 3);
    let marked = i.mark(&f.app, &f.me, Change::Read, &ids([1, 2, 4, 9]), at(5)).await.unwrap();
    assert_eq!((marked.rev, marked.unread), (before.cursor.own.rev + 1, 1));
    assert_eq!(marked.ids().collect::<Vec<_>>(), ids([4, 1]));
    assert_eq!(marked.missing, ids([2, 9]), "red is not theirs, 9 is nobody's");
    assert_eq!(marked.state_of(id(1)).unwrap().read_at, Some(at(5)));
    for (change, left) in [(Change::Archive, 1), (Change::Unread, 1), (Change::Unarchive, 2)] {
        assert_eq!(i.mark(&f.app, &f.me, change, &ids([1]), at(6)).await.unwrap().unread, left, "{change:?}");
    }
    let again = i.mark(&f.app, &f.me, Change::Unread, &ids([1]), at(7)).await.unwrap();
    assert_eq!((again.entries.len(), again.unread), (0, 2), "it is so already");
}

#[tokio::test]
async fn reading_all_up_to_a_cursor_leaves_what_came_or_was_marked_after_it() {
    let (f, i, record) = inboxes().await;
    i.overview(&f.app, &f.me, at(1)).await.unwrap();
    append(&f, &i, &record, &[everyone(1), everyone(2)], at(1)).await;
    let shown = i.overview(&f.app, &f.me, at(1)).await.unwrap().cursor;
    append(&f, &i, &record, &[everyone(3)], at(2)).await;
    let first = i.mark_all_read(&f.app, &f.me, Some(&shown), at(3)).await.unwrap();
    assert_eq!((first.unread, first.passed), (1, ids([2, 1])));
    i.mark(&f.app, &f.me, Change::Unread, &ids([1]), at(4)).await.unwrap();
    let again = i.mark_all_read(&f.app, &f.me, Some(&shown), at(5)).await.unwrap();
    assert_eq!((again.unread, again.read_upto, again.entries.len()), (2, None, 0), "1 was marked unread after it");
    let other = stentor_inbox::Cursor { timeline: Position { epoch: 1, rev: u64::MAX }, ..shown };
    assert_eq!(i.mark_all_read(&f.app, &f.me, Some(&other), at(6)).await.unwrap().unread, 2, "a cursor of another life");
    let all = i.mark_all_read(&f.app, &f.me, None, at(7)).await.unwrap();
    assert_eq!((all.unread, all.ids().collect::<Vec<_>>()), (0, ids([1, 3])));
    let beyond = stentor_inbox::Cursor { timeline: Position { rev: u64::MAX, ..shown.timeline }, ..shown };
    i.mark_all_read(&f.app, &f.me, Some(&beyond), at(8)).await.unwrap();
    append(&f, &i, &record, &[everyone(4)], at(9)).await;
    assert_eq!(unread(&f, &i, at(9)).await, 1, "what nobody has seen is not read");
}

#[tokio::test]
async fn pages_merge_both_parts_in_the_order_of_writing_whatever_their_size() {
    let (f, i, record) = inboxes().await;
    i.overview(&f.app, &f.me, at(1)).await.unwrap();
    for n in 1..=40 {
        if n % 3 == 0 {
            append(&f, &i, &record, &[everyone(n)], at(n)).await;
        } else {
            i.write(&f.app, &[NewItem { recipient: &f.me, card: &card(n), variant: "en" }], at(n)).await.unwrap();
        }
        next_millisecond(&f).await; // within one nobody could say which was first
    }
    i.mark(&f.app, &f.me, Change::Archive, &ids([12, 20, 39]), at(50)).await.unwrap();
    let expected: Vec<_> = (1..=40).rev().filter(|n| ![12, 20, 39].contains(n)).map(id).collect();
    for limit in [1, 2, 3, 7, 36, 37, 38, 100] {
        assert_eq!(listed(&f, &i, limit, at(50)).await, expected, "in pages of {limit}");
    }
    let filter = Filter::new(true, None);
    let archived = async || -> Vec<_> {
        let page = i.page_of(&f.app, &f.me, &filter, None, 10, at(50)).await.unwrap();
        page.items.iter().map(|item| item.item.id).collect()
    };
    assert_eq!(archived().await, ids([39, 20, 12]));
    // the older own ones go to the record
    let excess = f.inbox.excess(&f.app, std::slice::from_ref(&f.me), 4, at(50)).await.unwrap().concat();
    record.set(&f.app, &f.me, excess.clone());
    let same: Vec<_> = excess.iter().map(|item| (item.seq, item.item.rev)).collect();
    assert_eq!(f.inbox.trim(&f.app, &f.me, &same, 4, at(50)).await.unwrap(), same.len());
    for limit in [1, 5, 100] {
        assert_eq!(listed(&f, &i, limit, at(50)).await, expected, "in pages of {limit}, the older from the record");
    }
    assert_eq!(archived().await, ids([39, 20, 12]));
}

#[tokio::test]
async fn who_was_away_is_told_what_was_written_recalled_updated_and_read_meanwhile() {
    let (f, i, record) = inboxes().await;
    i.overview(&f.app, &f.me, at(1)).await.unwrap();
    append(&f, &i, &record, &[everyone(1), everyone(2), everyone(3), to("red", 4)], at(1)).await;
    let cursor = i.overview(&f.app, &f.me, at(1)).await.unwrap().cursor;
    append(&f, &i, &record, &[everyone(5), to("red", 6)], at(2)).await;
    i.timelines().edit(&f.app, id(1), &EntryEdit::Recall, at(2)).await.unwrap();
    let said = Card { title: "said otherwise".into(), ..card(2) };
    let update = EntryEdit::Update(Box::new(body_of(said, Target::Everyone)));
    i.timelines().edit(&f.app, id(2), &update, at(2)).await.unwrap();
    i.mark(&f.app, &f.me, Change::Read, &ids([3]), at(3)).await.unwrap();
    let told = i.changes_since(&f.app, &f.me, &cursor, 10, at(4)).await.unwrap();
    assert_eq!((told.recovered, &told.removed, told.unread), (true, &ids([1]), 2));
    let mut items: Vec<_> =
        told.items.iter().map(|item| (item.id, item.card.read().unwrap().title, item.state.read_at)).collect();
    items.sort_unstable();
    let expected = [(id(2), "said otherwise", None), (id(3), "No. 3", Some(at(3))), (id(5), "No. 5", None)];
    assert_eq!(items, expected.map(|(id, title, read_at)| (id, title.to_owned(), read_at)));
    assert!(!i.changes_since(&f.app, &f.me, &cursor, 3, at(4)).await.unwrap().recovered, "too much to tell");
    let (later, shown) = (told.cursor, told.items);
    i.mark_all_read(&f.app, &f.me, None, at(5)).await.unwrap();
    let told = i.changes_since(&f.app, &f.me, &later, 10, at(6)).await.unwrap();
    let was_newer = |item: &Item| shown.iter().any(|s| s.id == item.id && s.state != item.state && s.rev >= item.rev);
    assert!(!told.items.iter().any(was_newer), "a device takes what has the greater revision: {told:?}");
    assert!(told.recovered && told.items.iter().all(|item| item.state.read_at.is_some()) && told.unread == 0, "{told:?}");
    let muted: Preferences = serde_json::from_str(r#"{"channels": {"inbox": false}}"#).unwrap();
    f.inbox.set_preferences(&f.app, &f.me, &muted, at(7)).await.unwrap();
    let told = i.changes_since(&f.app, &f.me, &told.cursor, 10, at(8)).await.unwrap();
    assert_eq!((told.recovered, told.unread), (false, 0), "the whole inbox looks otherwise");
    assert_eq!(listed(&f, &i, 9, at(8)).await, []);
}

#[tokio::test]
async fn a_timeline_that_redis_lost_comes_back_with_what_each_did() {
    let (f, i, record) = inboxes().await;
    i.overview(&f.app, &f.me, at(1)).await.unwrap();
    let entries = append(&f, &i, &record, &[everyone(1), everyone(2), everyone(3)], at(1)).await;
    i.mark_all_read(&f.app, &f.me, None, at(2)).await.unwrap();
    i.mark(&f.app, &f.me, Change::Unread, &ids([2]), at(3)).await.unwrap();
    let own = i.own(&f.app, &f.me, at(3)).await.unwrap();
    let before = i.overview(&f.app, &f.me, at(3)).await.unwrap();
    record.set_reader(&f.app, &f.me, own.reader);
    redis::cmd("FLUSHALL").query_async::<()>(&mut f.conn.clone()).await.unwrap();
    let after = i.overview(&f.app, &f.me, at(4)).await.unwrap();
    assert_eq!((after.unread, listed(&f, &i, 9, at(4)).await), (1, ids([3, 2, 1])));
    assert!(after.cursor.own.epoch > before.cursor.own.epoch && after.cursor.timeline.epoch > before.cursor.timeline.epoch);
    assert!(!i.changes_since(&f.app, &f.me, &before.cursor, 10, at(4)).await.unwrap().recovered);
    let next = append(&f, &i, &record, &[everyone(4)], at(5)).await.remove(0);
    assert!(next.seq > entries[2].seq + 999_999, "beyond anything that was written and never archived");
    assert_eq!(unread(&f, &i, at(5)).await, 2);
    // one who was never seen before sees nothing of it
    let stranger = "stranger".parse().unwrap();
    assert_eq!(i.overview(&f.app, &stranger, at(6)).await.unwrap().unread, 0);
}

#[tokio::test]
async fn many_who_write_and_read_at_once_agree_in_the_end() {
    let (f, i, _) = inboxes().await;
    i.overview(&f.app, &f.me, at(1)).await.unwrap();
    let tasks: Vec<_> = (0..100_u32)
        .map(|n| {
            let (timelines, app) = (i.timelines().clone(), f.app.clone());
            tokio::spawn(async move {
                timelines.append(&app, &everyone(n + 1), at(1)).await.unwrap();
                let view = timelines.fresh(&app, at(1)).await.unwrap();
                assert!(view.find(id(n + 1)).is_some(), "who wrote it sees it");
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let view = i.timelines().fresh(&f.app, at(1)).await.unwrap();
    let seqs: Vec<u64> = view.newest(None).map(|entry| entry.seq).collect();
    assert_eq!((seqs.len(), seqs[0] - seqs[99]), (100, 99));
    assert_eq!(view.unread(&Reader::default(), at(1)), 100);
    let since = Position { rev: view.position().rev - 7, ..view.position() };
    let told: Vec<&Arc<Entry>> = view.since(since).unwrap();
    assert_eq!(told.iter().map(|entry| entry.seq).collect::<Vec<_>>(), seqs[..7].iter().rev().copied().collect::<Vec<_>>());
}

#[tokio::test]
async fn those_who_are_new_are_registered_together() {
    let (f, inboxes, record) = inboxes().await;
    append(&f, &inboxes, &record, &[everyone(1)], at(1)).await;
    let people: Vec<RecipientId> = (0..6).map(|n| format!("u{n}").parse().unwrap()).collect();
    record.set(&f.app, &people[4], (1..=3).map(|n| recorded(n, n.into(), n.into())));
    let card = card(1_000);
    let items: Vec<_> = people.iter().map(|recipient| NewItem { recipient, card: &card, variant: "en" }).collect();
    let written = inboxes.write(&f.app, &items, at(2)).await.unwrap();
    assert_eq!(written.iter().map(|w| w.seq).collect::<Vec<_>>(), [1, 1, 1, 1, 1_000_004, 1]);
    // What was written to everyone before they were seen is not theirs, what comes after it is.
    let unread = async |now| inboxes.overview(&f.app, &people[0], now).await.unwrap().unread;
    assert_eq!(unread(at(3)).await, 1);
    append(&f, &inboxes, &record, &[everyone(2)], at(4)).await;
    assert_eq!(unread(at(5)).await, 2);
    assert_eq!(record.loaded.load(SeqCst), 1, "who is known, and nobody else, was loaded");
}
