//! The hot state: what each call changes, what it leaves alone, and what it counts.

use std::collections::BTreeSet;

use stentor_domain::{Card, ItemState, RecipientId, Timestamp, item::Folder};
use stentor_inbox::{Change, Hot, HotItem, NewItem, Position as Cursor, WarmState};

use crate::support::{Changes, Fixture, Marked, Written, at, card, expiring, hours, id, ids, in_time, recorded, warm};

fn places(items: &[HotItem]) -> Vec<u64> {
    items.iter().map(|i| i.seq).collect()
}

fn state(seen: Option<u32>, read: Option<u32>, archived: Option<u32>) -> ItemState {
    ItemState { seen_at: seen.map(at), read_at: read.map(at), archived_at: archived.map(at) }
}

impl Fixture {
    async fn read_all(&self, up_to: Option<&Cursor>, now: Timestamp) -> Marked {
        warm(self.inbox.mark_all_read(&self.app, &self.me, up_to.copied(), 0, now).await.unwrap()).into()
    }

    async fn changes(&self, since: &Cursor, limit: usize, now: Timestamp) -> Changes {
        let told = warm(self.inbox.changes_since(&self.app, &self.me, *since, limit, now).await.unwrap());
        let (unread, cursor) = (told.overview.unread, told.overview.position);
        Changes { recovered: told.recovered, items: told.items, removed: told.removed, unread, cursor }
    }
}

#[tokio::test]
async fn a_page_is_full_however_many_of_the_newest_are_archived_and_whatever_was_lost() {
    let f = Fixture::new().await;
    f.write(0..300, at(0)).await;
    for some in (20..300).collect::<Vec<u32>>().chunks(100) {
        f.mark(Change::Archive, some.iter().copied(), at(1)).await;
    }
    let page = f.page(None, 10, at(2)).await;
    assert_eq!(page.iter().map(|i| i.item.id).collect::<Vec<_>>(), ids((10..20).rev()));
    let rest = f.page(Some(page[9].seq), 50, at(2)).await;
    assert_eq!(rest.iter().map(|i| i.item.id).collect::<Vec<_>>(), ids((0..10).rev()));
    // What a partial loss left in the list without its state is no reason to stand still.
    let items = format!("stentor:inbox:{{{}:{}}}:items", f.app, f.me);
    redis::cmd("DEL").arg(items).exec_async(&mut f.conn.clone()).await.unwrap();
    assert_eq!(in_time(f.page(None, 10, at(2))).await, []);
}

#[tokio::test]
async fn an_item_is_written_once() {
    let f = Fixture::new().await;
    let begin = f.overview(at(1)).await;
    let first = f.write([1, 2], at(1)).await;
    let written = |seq, unread| Written { seq, rev: begin.cursor.rev + seq, unread, new: true };
    assert_eq!(first, [written(1, 1), written(2, 2)]);
    let (before, items) = (f.overview(at(1)).await, f.page(None, 10, at(1)).await);
    assert_eq!((before.unread, before.cursor.rev), (2, begin.cursor.rev + 2));

    let other = Card { title: "another title".into(), ..card(1) };
    let again = f.write_cards(&[other, card(2)], at(2)).await;
    assert_eq!(again, [Written { unread: 2, new: false, ..first[0] }, Written { new: false, ..first[1] }]);
    assert_eq!((f.overview(at(2)).await, f.page(None, 10, at(2)).await), (before, items));
    assert_eq!(f.find(1, at(2)).await.unwrap().item.card.read().unwrap(), card(1));
}

#[tokio::test]
async fn one_that_came_twice_in_one_call_is_written_once() {
    let f = Fixture::new().await;
    let written = f.write([1, 1], at(1)).await;
    assert_eq!(written, [written[0], Written { new: false, ..written[0] }]);
    assert_eq!((f.overview(at(1)).await.unread, f.page(None, 10, at(1)).await.len()), (1, 1));
}

#[tokio::test]
async fn items_for_many_are_answered_in_order_and_the_cold_ones_named() {
    let f = Fixture::new().await;
    let people: Vec<RecipientId> = (0..5).map(|n| format!("u{n}").parse().unwrap()).collect();
    for person in &people[1..] {
        f.inbox.warm(&f.app, person, &WarmState::default(), at(0)).await.unwrap();
    }
    let cards: Vec<_> = (0..1_100).map(card).collect();
    let items: Vec<_> =
        cards.iter().zip(people.iter().cycle()).map(|(card, recipient)| NewItem { recipient, card, variant: "de" }).collect();
    let answers = f.inbox.write(&f.app, &items, at(1)).await.unwrap();
    assert_eq!(answers.len(), 1_100);
    for (n, answer) in answers.into_iter().enumerate() {
        match answer {
            Hot::Cold => assert_eq!(n % 5, 0),
            Hot::Warm(written) => {
                let seq = n as u64 / 5 + 1;
                assert_eq!((n % 5 > 0, written.seq, written.unread, written.new), (true, seq, seq, true));
            }
        }
    }
    let page = warm(f.inbox.page(&f.app, &people[3], Folder::Inbox, None, 1, at(1)).await.unwrap());
    assert_eq!((page.items[0].item.card.read().unwrap(), page.items[0].variant.as_str()), (card(1_098), "de"));
    assert_eq!(f.inbox.overview(&f.app, &people[0], at(1)).await.unwrap(), Hot::Cold, "nothing was made of it");
}

#[tokio::test]
async fn what_was_trimmed_is_recognised_for_a_day_after_it_was_written() {
    let f = Fixture::new().await;
    f.write([1, 2], hours(0)).await;
    f.mark(Change::Read, [1], hours(1)).await;
    assert_eq!(f.trim(0, hours(1)).await.len(), 2);
    let before = f.overview(hours(23)).await;
    for written in f.write([1, 2], hours(23)).await {
        assert!(!written.new && written.seq <= 2 && written.unread == 1, "{written:?}");
        assert_eq!(written.rev, before.cursor.rev);
    }
    assert_eq!((f.overview(hours(23)).await, f.page(None, 10, hours(23)).await), (before, vec![]));
    f.write([3], hours(25)).await;
    let late = f.write([1], hours(25)).await[0];
    assert_eq!((late.new, late.seq), (true, 4), "what is kept to recognise items does not grow for ever");
}

#[tokio::test]
async fn what_is_hot_is_recognised_however_old_it_is() {
    let f = Fixture::new().await;
    f.write([1], hours(0)).await;
    f.write([2, 3], hours(30)).await;
    assert!(!f.write([1], hours(30)).await[0].new);
    f.trim(2, hours(31)).await;
    assert!(f.write([1], hours(31)).await[0].new, "it is let go when it is trimmed");
}

#[tokio::test]
async fn what_was_put_back_and_trimmed_again_is_still_recognised() {
    let f = Fixture::new().await;
    f.write([1], hours(0)).await;
    let trimmed = f.trim(0, hours(1)).await;
    assert_eq!(f.inbox.restore(&f.app, &f.me, &trimmed, hours(2)).await.unwrap(), Hot::Warm(1));
    assert_eq!(f.trim(0, hours(3)).await, trimmed);
    let again = f.write([1], hours(4)).await[0];
    assert_eq!((again.new, again.seq, again.unread), (false, 1, 1));
}

#[tokio::test]
async fn what_the_record_gave_and_was_trimmed_is_recognised_for_a_day() {
    let f = Fixture::cold().await;
    let state = WarmState { max_seq: Some(1), items: vec![recorded(1, 1, 5)], unread: vec![], reader: None };
    f.inbox.warm(&f.app, &f.me, &state, hours(0)).await.unwrap();
    f.trim(0, hours(1)).await;
    let again = f.write([1], hours(2)).await[0];
    assert_eq!((again.new, again.seq, again.unread), (false, 1, 1));
    f.write([2], hours(25)).await;
    assert!(f.write([1], hours(25)).await[0].new);
}

#[tokio::test]
async fn a_change_takes_one_revision_and_its_repetition_none() {
    let f = Fixture::new().await;
    f.write([1, 2], at(1)).await;
    let mut rev = f.overview(at(1)).await.cursor.rev;
    let steps = [
        (Change::Seen, state(Some(10), None, None), 2),
        (Change::Read, state(Some(10), Some(20), None), 1),
        (Change::Unread, state(Some(10), None, None), 2),
        (Change::Archive, state(Some(10), None, Some(40)), 1),
        (Change::Unarchive, state(Some(10), None, None), 2),
        (Change::Read, state(Some(10), Some(60), None), 1),
        (Change::Archive, state(Some(10), Some(60), Some(70)), 1),
        (Change::Unread, state(Some(10), None, Some(70)), 1),
        (Change::Read, state(Some(10), Some(90), Some(70)), 1),
        (Change::Unarchive, state(Some(10), Some(90), None), 1),
    ];
    for (step, (change, state, unread)) in (1..).zip(steps) {
        let marked = f.mark(change, [1], at(step * 10)).await;
        rev += 1;
        assert_eq!((marked.rev, marked.cursor.rev, marked.unread), (rev, rev, unread), "{change:?} at {step}");
        assert_eq!(marked.items.iter().map(|i| (i.notification, i.state)).collect::<Vec<_>>(), [(id(1), state)]);
        assert_eq!(marked.missing, []);
        let item = f.find(1, at(step * 10)).await.unwrap().item;
        assert_eq!((item.state, item.rev), (state, rev));

        let again = f.mark(change, [1], at(step * 10 + 5)).await;
        assert_eq!(again, Marked { items: vec![], ..marked }, "{change:?} again");
        assert_eq!(f.find(1, at(step * 10 + 5)).await.unwrap().item, item);
    }
    assert_eq!(f.find(2, at(200)).await.unwrap().item.state, ItemState::default(), "the other one is as it was");
}

#[tokio::test]
async fn an_item_that_is_read_counts_as_seen() {
    let f = Fixture::new().await;
    f.write([1], at(1)).await;
    assert_eq!(f.mark(Change::Read, [1], at(2)).await.items[0].state, state(Some(2), Some(2), None));
}

#[tokio::test]
async fn several_items_change_in_one_revision_and_only_those_that_were_not_so() {
    let f = Fixture::new().await;
    f.write(1..=4, at(1)).await;
    let one = f.mark(Change::Read, [2], at(2)).await;
    let marked = f.mark(Change::Read, [1, 2, 3], at(3)).await;
    assert_eq!(marked.items.iter().map(|i| i.notification).collect::<Vec<_>>(), ids([1, 3]));
    assert_eq!((marked.rev, marked.unread), (one.rev + 1, 1));
    let revs: Vec<_> = f.page(None, 10, at(3)).await[1..].iter().map(|i| i.item.rev).collect();
    assert_eq!(revs, [marked.rev, one.rev, marked.rev]);
}

#[tokio::test]
async fn what_is_not_hot_is_missing() {
    let f = Fixture::new().await;
    f.write([1, 2, 3], at(1)).await;
    f.trim(2, at(1)).await;
    let before = f.overview(at(1)).await;
    let marked = f.mark(Change::Archive, [9, 1], at(2)).await;
    assert_eq!((marked.missing, marked.items, marked.cursor), (ids([9, 1]), vec![], before.cursor));
    let marked = f.mark(Change::Archive, [9, 2, 1], at(2)).await;
    assert_eq!((marked.missing, marked.items.len(), marked.unread), (ids([9, 1]), 1, 2));
}

#[tokio::test]
async fn a_cold_inbox_says_so_to_every_call() {
    let f = Fixture::cold().await;
    let (app, me, now, cursor) = (&f.app, &f.me, at(1), Cursor { epoch: 1, rev: 1 });
    let new = [NewItem { recipient: me, card: &card(1), variant: "en" }];
    assert_eq!(f.inbox.write(app, &new, now).await.unwrap(), [Hot::Cold]);
    assert_eq!(f.inbox.mark(app, me, Change::Read, &[(id(1), None)], now).await.unwrap(), Hot::Cold);
    assert_eq!(f.inbox.mark_all_read(app, me, None, 0, now).await.unwrap(), Hot::Cold);
    assert_eq!(f.inbox.overview(app, me, now).await.unwrap(), Hot::Cold);
    assert_eq!(f.inbox.page(app, me, Folder::Inbox, None, 10, now).await.unwrap(), Hot::Cold);
    assert_eq!(f.inbox.find(app, me, id(1), now).await.unwrap(), Hot::Cold);
    assert_eq!(f.inbox.changes_since(app, me, cursor, 10, now).await.unwrap(), Hot::Cold);
    assert_eq!(f.inbox.restore(app, me, &[recorded(1, 1, 1)], now).await.unwrap(), Hot::Cold);
    assert_eq!(f.inbox.excess(app, std::slice::from_ref(me), 0, now).await.unwrap().concat(), []);
    assert_eq!(f.inbox.trim(app, me, &[(1, 1)], 0, now).await.unwrap(), 0);
    let keys: u64 = redis::cmd("DBSIZE").query_async(&mut f.conn.clone()).await.unwrap();
    assert_eq!(keys, 0);
}

#[tokio::test]
async fn a_forgotten_inbox_is_cold_and_leaves_nothing() {
    let f = Fixture::new().await;
    f.write_cards(&[card(1), expiring(2, hours(1)), expiring(3, at(2)), card(4)], at(1)).await;
    f.overview(at(2)).await;
    f.trim(1, at(2)).await;
    f.inbox.forget(&f.app, &f.me).await.unwrap();
    assert_eq!(f.inbox.overview(&f.app, &f.me, at(3)).await.unwrap(), Hot::Cold);
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut f.conn.clone()).await.unwrap();
    assert_eq!(keys, Vec::<String>::new());
}

#[tokio::test]
async fn all_are_marked_read_in_one_revision() {
    let f = Fixture::new().await;
    let last = f.write(1..=4, at(1)).await[3];
    f.mark(Change::Read, [1], at(2)).await;
    f.mark(Change::Seen, [3], at(2)).await;
    f.mark(Change::Archive, [4], at(2)).await;
    let marked = f.read_all(None, at(3)).await;
    let changed: BTreeSet<_> = marked.items.iter().map(|i| (i.notification, i.state.seen_at, i.state.read_at)).collect();
    assert_eq!(changed, [(id(2), Some(at(3)), Some(at(3))), (id(3), Some(at(2)), Some(at(3)))].into());
    assert_eq!((marked.unread, marked.rev), (0, last.rev + 4));
    assert_eq!(f.find(3, at(3)).await.unwrap().item.rev, marked.rev);
    assert_eq!(f.find(4, at(3)).await.unwrap().item.state.read_at, None, "what was put away is no longer asked about");
    assert_eq!(f.read_all(None, at(4)).await, Marked { items: vec![], ..marked });
}

#[tokio::test]
async fn what_came_or_changed_after_the_cursor_stays_unread() {
    let f = Fixture::new().await;
    f.write(1..=3, at(1)).await;
    f.mark(Change::Read, [2], at(1)).await;
    let shown = f.overview(at(1)).await.cursor;
    f.write([4], at(2)).await;
    f.mark(Change::Unread, [2], at(2)).await;
    let marked = f.read_all(Some(&shown), at(3)).await;
    assert_eq!(marked.items.iter().map(|i| i.notification).collect::<BTreeSet<_>>(), ids([1, 3]).into_iter().collect());
    assert_eq!(marked.unread, 2);
    let stranger = Cursor { epoch: shown.epoch + 1, rev: marked.rev };
    let nothing = f.read_all(Some(&stranger), at(3)).await;
    assert_eq!((nothing.items.len(), nothing.unread, nothing.rev), (0, 2, marked.rev), "a cursor of another life");
    assert_eq!(f.read_all(Some(&marked.cursor), at(4)).await.unread, 0);
}

#[tokio::test]
async fn what_came_after_the_cursor_stays_unread_even_if_it_was_trimmed() {
    let f = Fixture::new().await;
    f.write([1], at(1)).await;
    let shown = f.overview(at(1)).await.cursor;
    f.write([2, 3], at(2)).await;
    f.mark(Change::Seen, [1, 2], at(3)).await;
    f.trim(0, at(4)).await;
    let later = f.overview(at(4)).await.cursor;
    assert_eq!(f.read_all(Some(&shown), at(5)).await.items, [], "all of it changed after it was shown");
    let marked = f.read_all(Some(&later), at(6)).await;
    let changed: BTreeSet<_> =
        marked.items.iter().map(|i| (i.notification, i.state)).map(|(n, s)| (n, s.seen_at, s.read_at)).collect();
    let expected = [(1, 3), (2, 3), (3, 6)].map(|(n, seen)| (id(n), Some(at(seen)), Some(at(6))));
    assert_eq!(changed, expected.into(), "when it was first seen is not forgotten");
    assert_eq!(marked.unread, 0);
}

#[tokio::test]
async fn more_than_one_script_may_read_are_read_all_the_same() {
    let f = Fixture::new().await;
    f.write(1..=2_345, at(1)).await;
    f.trim(2_000, at(1)).await;
    let before = f.overview(at(1)).await;
    assert_eq!(before.unread, 2_345);
    let marked = f.read_all(Some(&before.cursor), at(2)).await;
    assert_eq!(marked.items.iter().map(|i| i.notification).collect::<BTreeSet<_>>(), ids(1..=2_345).into_iter().collect());
    assert_eq!((marked.items.len(), marked.unread, marked.rev), (2_345, 0, before.cursor.rev + 3));
    assert!(f.page(None, 3_000, at(2)).await.iter().all(|i| i.item.state.read_at == Some(at(2))));
    assert_eq!(f.overview(at(2)).await.cursor, marked.cursor);
}

#[tokio::test]
async fn pages_are_newest_first_and_run_on_past_what_was_put_away() {
    let f = Fixture::new().await;
    f.write(1..=20, at(1)).await;
    assert_eq!(places(&f.page(None, 3, at(1)).await), [20, 19, 18]);
    assert_eq!(places(&f.page(Some(18), 3, at(1)).await), [17, 16, 15]);
    f.mark(Change::Archive, 8..=19, at(2)).await;
    assert_eq!(places(&f.page(None, 3, at(2)).await), [20, 7, 6]);
    assert_eq!(places(&f.page(Some(15), 3, at(2)).await), [7, 6, 5]);
    assert_eq!(places(&f.page(Some(3), 3, at(2)).await), [2, 1]);
    assert_eq!(f.page(Some(1), 3, at(2)).await, []);
    let newest = &f.page(None, 1, at(2)).await[0];
    assert_eq!((newest.item.card.read().unwrap(), newest.variant.as_str()), (card(20), "en"));
    assert_eq!(f.find(12, at(2)).await.unwrap().seq, 12, "what was put away is found");
    assert_eq!(f.find(21, at(2)).await, None);
}

#[tokio::test]
async fn an_expired_item_leaves_the_pages_and_the_count() {
    let f = Fixture::new().await;
    f.write_cards(&[card(1), expiring(2, at(10)), expiring(3, at(20)), expiring(4, at(10))], at(1)).await;
    f.mark(Change::Read, [4], at(2)).await;
    let before = f.overview(at(9)).await;
    assert_eq!((before.unread, f.page(None, 10, at(9)).await.len()), (3, 4));
    let after = f.overview(at(10)).await;
    assert_eq!((after.unread, after.cursor.rev), (2, before.cursor.rev + 1));
    assert_eq!(places(&f.page(None, 10, at(10)).await), [3, 1]);
    assert_eq!(f.find(2, at(10)).await, None);
    assert_eq!(f.mark(Change::Unread, [4], at(10)).await.missing, ids([4]));
    assert!(!f.write([2], at(11)).await[0].new, "and it does not come back");
    let told = f.changes(&before.cursor, 10, at(11)).await;
    assert_eq!((told.recovered, told.items.len(), told.unread), (true, 0, 2));
    assert_eq!(told.removed.into_iter().collect::<BTreeSet<_>>(), ids([2, 4]).into_iter().collect());
}

#[tokio::test]
async fn an_unread_item_that_was_trimmed_expires_too() {
    let f = Fixture::new().await;
    f.write_cards(&[expiring(1, at(10)), expiring(2, at(10)), card(3)], at(1)).await;
    f.mark(Change::Read, [2], at(1)).await;
    f.trim(0, at(2)).await;
    let before = f.overview(at(9)).await;
    assert_eq!((before.unread, f.overview(at(10)).await.unread), (2, 1));
    let told = f.changes(&before.cursor, 10, at(11)).await;
    assert_eq!((told.recovered, told.removed), (true, ids([1])));
}

#[tokio::test]
async fn many_that_expire_at_once_leave_a_hundred_a_call() {
    let f = Fixture::new().await;
    let cards: Vec<_> = (1..=450).map(|n| expiring(n, at(10))).collect();
    f.write_cards(&cards, at(1)).await;
    let before = f.overview(at(2)).await.cursor;
    let mut halfway = None;
    for left in [350, 250, 150, 50, 0] {
        let now = f.overview(at(10)).await;
        assert_eq!(now.unread, left);
        halfway = halfway.or(Some(now.cursor));
    }
    assert!(!f.changes(&before, 1_000, at(10)).await.recovered, "that many are not remembered");
    let told = f.changes(&f.overview(at(10)).await.cursor, 1_000, at(10)).await;
    assert!(told.recovered && told.removed.is_empty());
    assert!(!f.changes(&halfway.unwrap(), 10, at(10)).await.recovered);
}

#[tokio::test]
async fn changes_since_a_cursor_are_told_oldest_change_first() {
    let f = Fixture::new().await;
    f.write(1..=4, at(1)).await;
    let cursor = f.overview(at(1)).await.cursor;
    let nothing = f.changes(&cursor, 10, at(1)).await;
    assert_eq!(nothing, Changes { recovered: true, items: vec![], removed: vec![], unread: 4, cursor });

    f.mark(Change::Read, [3], at(2)).await;
    f.write([5], at(3)).await;
    f.mark(Change::Archive, [2, 4], at(4)).await;
    f.mark(Change::Seen, [1], at(5)).await;
    f.mark(Change::Unarchive, [4], at(6)).await;
    let told = f.changes(&cursor, 5, at(7)).await;
    assert_eq!((told.recovered, told.unread), (true, 3));
    assert_eq!(told.items.iter().map(|i| i.id).collect::<Vec<_>>(), ids([3, 5, 1, 4]));
    assert_eq!(told.items[0].state, state(Some(2), Some(2), None));
    assert_eq!(told.removed, ids([2]));
    assert_eq!((told.cursor.epoch, told.cursor.rev), (cursor.epoch, cursor.rev + 5));

    let many = f.changes(&cursor, 4, at(7)).await;
    assert_eq!((many.recovered, many.items, many.removed, many.unread), (false, vec![], vec![], 3));
    assert_eq!(many.cursor, told.cursor);
}

#[tokio::test]
async fn a_cursor_that_is_not_of_this_life_is_told_to_list_again() {
    let f = Fixture::new().await;
    f.write([1], at(1)).await;
    let Cursor { epoch, rev } = f.overview(at(1)).await.cursor;
    for (epoch, rev) in [(epoch + 1, rev), (epoch - 1, rev), (epoch, rev + 1), (epoch, 0)] {
        let told = f.changes(&Cursor { epoch, rev }, 10, at(1)).await;
        assert_eq!((told.recovered, told.items.len(), told.unread), (false, 0, 1), "{epoch} {rev}");
    }
}

#[tokio::test]
async fn changes_of_what_was_trimmed_since_cannot_be_told() {
    let f = Fixture::new().await;
    let first = f.write([1], at(1)).await[0];
    let cursor = f.overview(at(1)).await.cursor;
    f.write([2, 3], at(2)).await;
    let later = f.overview(at(2)).await.cursor;
    f.trim(2, at(3)).await;
    assert_eq!(f.changes(&cursor, 10, at(3)).await.items.len(), 2, "it knew of what was trimmed");
    assert!(!f.changes(&Cursor { rev: first.rev - 1, ..cursor }, 10, at(3)).await.recovered);
    f.trim(1, at(3)).await;
    assert!(!f.changes(&cursor, 10, at(3)).await.recovered);
    assert!(f.changes(&later, 10, at(3)).await.recovered);
    f.read_all(None, at(4)).await;
    let told = f.changes(&later, 10, at(5)).await;
    assert!(!told.recovered, "trimmed items were read: {told:?}");
}

#[tokio::test]
async fn only_what_the_record_holds_in_the_same_revision_is_trimmed_and_the_newest_never() {
    let f = Fixture::new().await;
    f.write(0..=9, at(1)).await;
    let excess = f.inbox.excess(&f.app, std::slice::from_ref(&f.me), 4, at(1)).await.unwrap().concat();
    assert_eq!(places(&excess), [1, 2, 3, 4, 5, 6]);
    assert_eq!(excess[0].item.card.read().unwrap(), card(0));
    f.mark(Change::Seen, [4, 5], at(2)).await;
    let mut same: Vec<_> = excess.iter().map(|i| (i.seq, i.item.rev)).collect();
    let newest = f.page(None, 1, at(2)).await.remove(0);
    same.push((newest.seq, newest.item.rev));
    same.push((77, 1));
    assert_eq!(f.inbox.trim(&f.app, &f.me, &same, 4, at(2)).await.unwrap(), 4, "five and six have changed");
    assert_eq!(places(&f.page(None, 20, at(2)).await), [10, 9, 8, 7, 6, 5]);
    assert_eq!(f.inbox.trim(&f.app, &f.me, &same, 4, at(2)).await.unwrap(), 0);
    assert_eq!(f.overview(at(2)).await.unread, 10, "what is trimmed unread is still counted");
    let page = warm(f.inbox.page(&f.app, &f.me, Folder::Inbox, None, 1, at(2)).await.unwrap());
    assert_eq!(page.floor, 5);
    assert_eq!(f.inbox.excess(&f.app, std::slice::from_ref(&f.me), 6, at(2)).await.unwrap().concat(), []);
}

#[tokio::test]
async fn what_was_trimmed_is_put_back_as_it_is_known_here() {
    let f = Fixture::new().await;
    f.write_cards(&[card(1), card(2), expiring(3, at(50)), card(4)], at(1)).await;
    f.mark(Change::Read, [2], at(2)).await;
    let trimmed = f.trim(0, at(3)).await;
    assert_eq!(trimmed.len(), 4);
    let before = f.overview(at(3)).await;
    assert_eq!(f.inbox.restore(&f.app, &f.me, &trimmed[..3], at(4)).await.unwrap(), Hot::Warm(3));
    assert_eq!(f.inbox.restore(&f.app, &f.me, &trimmed[..3], at(4)).await.unwrap(), Hot::Warm(0), "once");
    assert_eq!(f.overview(at(4)).await, before, "nothing has changed");
    for n in 1..=3 {
        assert_eq!(f.find(n, at(4)).await.unwrap(), trimmed[n as usize - 1]);
    }
    assert_eq!(f.mark(Change::Read, [1], at(5)).await.unread, 2);
    assert_eq!(f.mark(Change::Unread, [2], at(5)).await.unread, 3);
    assert_eq!(f.overview(at(50)).await.unread, 2, "it expires");
    assert_eq!(f.inbox.restore(&f.app, &f.me, &trimmed[2..3], at(51)).await.unwrap(), Hot::Warm(0), "and stays away");

    f.read_all(None, at(60)).await;
    f.inbox.restore(&f.app, &f.me, &trimmed[3..], at(61)).await.unwrap();
    assert!(f.find(4, at(61)).await.unwrap().item.state.read_at.is_some(), "the record lags, the count does not");
    assert_eq!(f.overview(at(61)).await.unread, 0);
    assert_eq!(f.mark(Change::Unread, [4], at(62)).await.unread, 1);
}

#[tokio::test]
async fn the_inboxes_of_two_apps_are_apart() {
    let f = Fixture::new().await;
    f.write([1], at(1)).await;
    let other = "other".parse().unwrap();
    assert_eq!(f.inbox.overview(&other, &f.me, at(1)).await.unwrap(), Hot::Cold);
    f.inbox.warm(&other, &f.me, &WarmState::default(), at(1)).await.unwrap();
    assert_eq!(warm(f.inbox.overview(&other, &f.me, at(1)).await.unwrap()).unread, 0);
    assert_eq!(f.overview(at(1)).await.unread, 1);
}

#[tokio::test]
async fn what_is_kept_of_trimmed_items_goes_when_it_is_of_no_more_use() {
    let f = Fixture::new().await;
    f.write_cards(&[expiring(1, at(10)), card(2), card(3), card(4)], at(1)).await;
    f.mark(Change::Read, [4], at(1)).await;
    let trimmed = f.trim(0, at(2)).await;
    let kept = async || {
        let mut cmd = redis::cmd("HLEN");
        cmd.arg("stentor:inbox:{demo:me}:cold_unread").query_async::<u32>(&mut f.conn.clone()).await.unwrap()
    };
    assert_eq!(kept().await, 3);
    f.overview(at(10)).await;
    assert_eq!(kept().await, 2, "it expired");
    f.inbox.restore(&f.app, &f.me, &trimmed[1..2], at(11)).await.unwrap();
    assert_eq!(kept().await, 1, "it is hot");
    f.read_all(None, at(12)).await;
    assert_eq!(kept().await, 0, "it was read");
}

#[tokio::test]
async fn what_was_known_for_a_day_is_let_go_though_nothing_more_comes() {
    let f = Fixture::new().await;
    f.write([1, 2, 3], hours(0)).await;
    f.mark(Change::Read, [1, 2, 3], hours(1)).await;
    assert_eq!(f.trim(1, hours(2)).await.len(), 2);
    let kept = async || {
        let mut cmd = redis::cmd("HKEYS");
        let fields: Vec<String> = cmd.arg("stentor:inbox:{demo:me}:items").query_async(&mut f.conn.clone()).await.unwrap();
        fields.iter().filter(|field| field.starts_with('i')).count()
    };
    f.overview(hours(23)).await;
    assert_eq!(kept().await, 3);
    f.overview(hours(24)).await;
    assert_eq!(kept().await, 1, "what is hot stays known");
}

#[tokio::test]
async fn reading_runs_no_script_but_where_something_is_due() {
    let f = Fixture::new().await;
    f.write_cards(&[card(1), expiring(2, at(50)), expiring(3, at(20))], at(1)).await;
    let scripts = async || {
        let info: String = redis::cmd("INFO").arg("commandstats").query_async(&mut f.conn.clone()).await.unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
        line.and_then(|rest| rest.split(',').next()).map_or(0, |n| n.parse::<u32>().unwrap())
    };
    f.inbox.purge(&f.app, std::slice::from_ref(&f.me), at(2)).await.unwrap(); // Redis knows the script from now on
    let begin = scripts().await;
    assert_eq!((f.overview(at(19)).await.unread, f.page(None, 10, at(19)).await.len()), (3, 3));
    assert_eq!(scripts().await, begin);
    assert_eq!((f.overview(at(20)).await.unread, f.page(None, 10, at(20)).await.len()), (2, 2));
    assert_eq!(scripts().await, begin + 1, "what expired left, once");
    assert_eq!(f.page(None, 10, at(50)).await.len(), 1);
}
