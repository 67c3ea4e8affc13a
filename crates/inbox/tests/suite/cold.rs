//! Whole inboxes: cold ones are warmed from the record, and what is old is found, listed and changed all the same.

use std::sync::atomic::Ordering::SeqCst;

use stentor_domain::{
    CardText, Item, ItemState, RecipientId,
    item::{Folder, ItemContent},
};
use stentor_inbox::{Change, Cursor, Filter, Hot, HotItem, InboxError, NewItem, Position};

use crate::support::{FULL, Fixture, at, card, expiring, found, id, ids, inboxes, is_alive, recorded};

fn read(item: HotItem) -> HotItem {
    let state = ItemState { read_at: Some(at(0)), ..item.item.state };
    HotItem { item: Item { state, ..item.item }, ..item }
}

fn archived(item: HotItem) -> HotItem {
    let state = ItemState { archived_at: Some(at(0)), ..item.item.state };
    HotItem { item: Item { state, ..item.item }, ..item }
}

fn until(item: HotItem, seconds: u32) -> HotItem {
    let card = stentor_domain::Card { expires_at: Some(at(seconds)), ..item.item.card.read().unwrap() };
    HotItem { item: Item { card: CardText::of(&card).unwrap(), ..item.item }, ..item }
}

/// Items 1 to `n`, one place each, every third unread.
fn many(n: u32) -> Vec<HotItem> {
    (1..=n).map(|n| recorded(n, n.into(), n.into())).map(|i| if i.seq % 3 == 0 { i } else { read(i) }).collect()
}

async fn asked_in_redis(f: &Fixture, words: &str) -> u64 {
    let mut words = words.split(' ');
    let mut cmd = redis::cmd(words.next().unwrap());
    for word in words {
        cmd.arg(word);
    }
    cmd.query_async(&mut f.conn.clone()).await.unwrap()
}

fn cursor(epoch: u64, rev: u64) -> Cursor {
    Cursor { own: Position { epoch, rev }, timeline: Position { epoch, rev } }
}

/// So many changes of the person's own part later.
fn cursor_after(before: &Cursor, changes: u64) -> Cursor {
    let own = Position { rev: before.own.rev + changes, ..before.own };
    Cursor { own, ..*before }
}

#[tokio::test]
async fn a_cold_inbox_is_not_empty() {
    let (f, inboxes, record) = inboxes().await;
    let items = vec![
        read(recorded(1, 1, 5)),
        recorded(2, 2, 6),
        archived(recorded(3, 3, 7)),
        until(recorded(4, 4, 8), 9),
        recorded(5, 7, 9),
    ];
    record.set(&f.app, &f.me, items.clone());
    let overview = inboxes.overview(&f.app, &f.me, at(10)).await.unwrap();
    assert_eq!(overview.unread, 2, "read, archived and expired ones do not count");
    assert!(overview.cursor.own.rev > 9, "{overview:?}");
    let page = inboxes.page(&f.app, &f.me, None, 10, at(10)).await.unwrap();
    let expected = [items[4].clone(), items[1].clone(), items[0].clone()];
    assert_eq!((page.items, page.next), (found(&expected), None));
    assert_eq!(inboxes.find(&f.app, &f.me, id(3), at(10)).await.unwrap(), found(&items[2..3]).pop());
    assert_eq!(inboxes.find(&f.app, &f.me, id(4), at(10)).await.unwrap(), None, "expired");
    assert_eq!(record.loaded.load(SeqCst), 1);

    let new = NewItem { recipient: &f.me, card: &card(6), variant: "en" };
    let known = NewItem { recipient: &f.me, card: &card(2), variant: "en" };
    let written = inboxes.write(&f.app, &[new, known], at(11)).await.unwrap();
    assert_eq!((written[0].seq, written[0].unread, written[0].new), (1_000_008, 3, true), "beyond what may be on its way");
    assert_eq!((written[1].seq, written[1].unread, written[1].new), (2, 3, false));
}

#[tokio::test]
async fn every_call_warms_a_cold_inbox() {
    let (f, inboxes, record) = inboxes().await;
    record.set(&f.app, &f.me, [recorded(1, 1, 1), recorded(2, 2, 2)]);
    let cursor = cursor(1, 1);
    for n in 1..=7_u32 {
        let now = at(n);
        match n {
            1 => {
                let new = NewItem { recipient: &f.me, card: &card(3), variant: "en" };
                assert_eq!(inboxes.write(&f.app, &[new], now).await.unwrap()[0].unread, 3);
            }
            2 => assert_eq!(inboxes.mark(&f.app, &f.me, Change::Read, &[id(1)], now).await.unwrap().unread, 1),
            3 => assert_eq!(inboxes.mark_all_read(&f.app, &f.me, None, now).await.unwrap().items.len(), 2),
            4 => assert_eq!(inboxes.overview(&f.app, &f.me, now).await.unwrap().unread, 2),
            5 => assert_eq!(inboxes.page(&f.app, &f.me, None, 9, now).await.unwrap().items.len(), 2),
            6 => assert_eq!(inboxes.find(&f.app, &f.me, id(2), now).await.unwrap(), found(&[recorded(2, 2, 2)]).pop()),
            _ => assert!(!inboxes.changes_since(&f.app, &f.me, &cursor, 9, now).await.unwrap().recovered),
        }
        assert_eq!(record.loaded.load(SeqCst), n as usize);
        assert!(matches!(inboxes.hot().overview(&f.app, &f.me, now).await.unwrap(), Hot::Warm(_)));
        inboxes.forget(&f.app, &f.me).await.unwrap();
        assert_eq!(inboxes.hot().overview(&f.app, &f.me, now).await.unwrap(), Hot::Cold);
    }
}

#[tokio::test]
async fn an_item_is_written_with_its_content_where_its_inbox_is_cold_too() {
    let (f, inboxes, record) = inboxes().await;
    let text = |text: &str| ItemContent { body_html: String::new(), body_text: text.into(), articles: Vec::new() };
    let write = async |n, contents: &[(String, ItemContent)]| {
        let card = card(n);
        let item = NewItem { recipient: &f.me, card: &card, variant: "en" };
        inboxes.write_with_contents(&f.app, id(n), &[item], contents, at(n)).await.unwrap()[0]
    };
    let first = write(1, &[("en".into(), text("one"))]).await;
    assert_eq!((first.new, first.unread, record.loaded.load(SeqCst)), (true, 1, 1));
    let expiring = expiring(2, at(9));
    let item = NewItem { recipient: &f.me, card: &expiring, variant: "en" };
    let before = f.scripts_called();
    inboxes.write_with_contents(&f.app, id(2), &[item], &[("en".into(), text("two"))], at(2)).await.unwrap();
    assert_eq!(f.scripts_called() - before, 1, "one for both");
    assert!(!write(1, &[("en".into(), text("one"))]).await.new);
    for (n, said) in [(1, "one"), (2, "two")] {
        assert_eq!(inboxes.content(&f.app, id(n), "en").await.unwrap(), Some(text(said)));
    }
    assert_eq!(inboxes.overview(&f.app, &f.me, at(3)).await.unwrap().unread, 2);
    assert_eq!(inboxes.overview(&f.app, &f.me, at(10)).await.unwrap().unread, 1, "it expired");
    // More contents than one are written by themselves.
    let two = [("en".to_owned(), text("three")), ("de".to_owned(), text("drei"))];
    assert_eq!(write(3, &two).await.unread, 2);
    assert_eq!(inboxes.content(&f.app, id(3), "de").await.unwrap(), Some(text("drei")));
}

#[tokio::test]
async fn a_rebuilt_inbox_has_another_life_and_goes_on_beyond_the_last() {
    let (f, inboxes, record) = inboxes().await;
    let mut last: Option<(Cursor, u64)> = None;
    for n in 1..=3 {
        let item = NewItem { recipient: &f.me, card: &card(n), variant: "en" };
        let written = inboxes.write(&f.app, &[item], at(n)).await.unwrap()[0];
        assert_eq!(written.unread, u64::from(n));
        let cursor = inboxes.overview(&f.app, &f.me, at(n)).await.unwrap().cursor;
        if let Some((old, seq)) = last {
            assert!(cursor.own.epoch > old.own.epoch && cursor.own.rev > old.own.rev && written.seq > seq + 999_999);
            let told = inboxes.changes_since(&f.app, &f.me, &old, 100, at(n)).await.unwrap();
            assert_eq!((told.recovered, told.unread), (false, n.into()));
            let nothing = inboxes.mark_all_read(&f.app, &f.me, Some(&old), at(n)).await.unwrap();
            assert_eq!((nothing.items.len(), nothing.unread), (0, n.into()));
        }
        last = Some((cursor, written.seq));
        let mut items = f.page(None, 10, at(n)).await;
        assert_eq!(items.len(), n as usize);
        items.reverse();
        record.set(&f.app, &f.me, items);
        redis::cmd("FLUSHALL").query_async::<()>(&mut f.conn.clone()).await.unwrap();
    }
}

#[tokio::test]
async fn many_who_ask_at_once_warm_it_once() {
    let (f, inboxes, record) = inboxes().await;
    record.set(&f.app, &f.me, many(300));
    let asking: Vec<_> = (0..20_u32)
        .map(|n| {
            let (inboxes, app, me) = (inboxes.clone(), f.app.clone(), f.me.clone());
            tokio::spawn(async move {
                let card = card(1_000 + n);
                let new = NewItem { recipient: &me, card: &card, variant: "en" };
                inboxes.write(&app, &[new], at(n)).await.unwrap()[0].seq
            })
        })
        .collect();
    let mut seqs = Vec::new();
    for one in asking {
        seqs.push(one.await.unwrap());
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (1_000_301..=1_000_320).collect::<Vec<_>>());
    assert_eq!(inboxes.overview(&f.app, &f.me, at(30)).await.unwrap().unread, 120);
}

#[tokio::test]
async fn what_a_partial_loss_left_is_not_mixed_in() {
    let (f, inboxes, record) = inboxes().await;
    record.set(&f.app, &f.me, many(6));
    let before = inboxes.page(&f.app, &f.me, None, 10, at(1)).await.unwrap();
    inboxes.mark_all_read(&f.app, &f.me, None, at(2)).await.unwrap();
    let new = NewItem { recipient: &f.me, card: &expiring(9, at(99)), variant: "en" };
    inboxes.write(&f.app, &[new], at(2)).await.unwrap();
    assert_eq!(asked_in_redis(&f, "DEL stentor:inbox:{demo:me}:head").await, 1);
    assert_eq!(inboxes.page(&f.app, &f.me, None, 10, at(3)).await.unwrap(), before);
    assert_eq!(inboxes.overview(&f.app, &f.me, at(3)).await.unwrap().unread, 2);
}

#[tokio::test]
async fn one_write_goes_to_hot_and_cold_inboxes_alike() {
    let (f, inboxes, record) = inboxes().await;
    let people: Vec<RecipientId> = (0..6).map(|n| format!("u{n}").parse().unwrap()).collect();
    for (n, person) in (1_u32..).zip(&people) {
        record.set(&f.app, person, many(3 * n));
        if n % 2 == 0 {
            inboxes.overview(&f.app, person, at(1)).await.unwrap();
        }
    }
    let card = card(1_000);
    let items: Vec<_> = people.iter().map(|recipient| NewItem { recipient, card: &card, variant: "en" }).collect();
    let written = inboxes.write(&f.app, &items, at(2)).await.unwrap();
    let answers: Vec<_> = written.iter().map(|w| (w.seq, w.unread, w.new)).collect();
    assert_eq!(answers, (1..=6).map(|n| (1_000_001 + 3 * n, n + 1, true)).collect::<Vec<_>>());
    assert_eq!(record.loaded.load(SeqCst), 6);
}

#[tokio::test]
async fn unread_ones_that_are_too_old_to_be_hot_are_counted_and_read() {
    let (f, inboxes, record) = inboxes().await;
    let mut items = many(300);
    items[2] = until(items[2].clone(), 50);
    record.set(&f.app, &f.me, items);
    assert_eq!(inboxes.overview(&f.app, &f.me, at(1)).await.unwrap().unread, 100);
    assert_eq!(asked_in_redis(&f, "ZCARD stentor:inbox:{demo:me}:order").await, FULL as u64);
    assert_eq!(inboxes.overview(&f.app, &f.me, at(50)).await.unwrap().unread, 99, "an old one expired");
    let marked = inboxes.mark(&f.app, &f.me, Change::Read, &ids([6, 300]), at(51)).await.unwrap();
    assert_eq!((marked.unread, marked.items.len(), marked.missing), (97, 2, vec![]));
    let marked = inboxes.mark_all_read(&f.app, &f.me, Some(&marked.cursor), at(52)).await.unwrap();
    assert_eq!((marked.unread, marked.items.len()), (0, 97));
    assert!(marked.items.iter().all(|i| i.state.read_at == Some(at(52))));
}

#[tokio::test]
async fn an_old_item_is_put_back_when_it_is_marked() {
    let (f, inboxes, record) = inboxes().await;
    record.set(&f.app, &f.me, many(300));
    let before = inboxes.overview(&f.app, &f.me, at(1)).await.unwrap();
    let asked = ids([3, 999, 300, 4, 5]);
    let marked = inboxes.mark(&f.app, &f.me, Change::Archive, &asked, at(2)).await.unwrap();
    assert_eq!(marked.items.iter().map(|i| i.notification).collect::<Vec<_>>(), ids([300, 3, 4, 5]));
    assert!(marked.items.iter().all(|i| i.state.archived_at == Some(at(2))));
    assert_eq!((marked.missing, marked.unread), (ids([999]), before.unread - 2));
    assert_eq!(marked.cursor, cursor_after(&before.cursor, 2));
    let again = inboxes.mark(&f.app, &f.me, Change::Archive, &asked, at(3)).await.unwrap();
    assert_eq!((again.items.len(), again.cursor), (0, marked.cursor), "it is hot now");
    let told = inboxes.changes_since(&f.app, &f.me, &before.cursor, 10, at(3)).await.unwrap();
    assert_eq!((told.recovered, told.removed), (true, ids([300, 3, 4, 5])));
}

#[tokio::test]
async fn an_old_item_that_is_said_otherwise_counts_until_its_new_expiry() {
    let (f, inboxes, record) = inboxes().await;
    let mut items = many(200);
    for n in [3, 6, 9] {
        items[n - 1] = until(recorded(n as u32, n as u64, n as u64), 100);
    }
    record.set(&f.app, &f.me, items.clone());
    let unread = async |now| inboxes.overview(&f.app, &f.me, now).await.unwrap().unread;
    let before = inboxes.overview(&f.app, &f.me, at(1)).await.unwrap();
    let (shortened, extended, endless) = (expiring(3, at(50)), expiring(6, at(900)), card(9));
    let known_no_more = card(999);
    let said = [&shortened, &extended, &endless, &known_no_more].map(|card| NewItem { recipient: &f.me, card, variant: "en" });
    let revs = inboxes.update(&f.app, &said, at(2)).await.unwrap();
    assert_eq!(revs, [Some(before.cursor.own.rev + 1), Some(before.cursor.own.rev + 2), Some(before.cursor.own.rev + 3), None]);
    for (n, card) in [(3, &shortened), (6, &extended), (9, &endless)] {
        items[n - 1].item.card = CardText::of(card).unwrap();
    }
    record.set(&f.app, &f.me, items.clone());
    let told = inboxes.changes_since(&f.app, &f.me, &before.cursor, 10, at(3)).await.unwrap();
    let told: Vec<_> = told.items.iter().map(|item| item.card.read().unwrap()).collect();
    assert_eq!(told, [shortened, extended, endless.clone()]);
    assert_eq!((unread(at(49)).await, unread(at(50)).await), (before.unread, before.unread - 1), "the first one's time is over");
    assert_eq!((unread(at(100)).await, unread(at(900)).await), (before.unread - 1, before.unread - 2), "as others were");

    // said again once the record has it: by a worker that died in between
    inboxes.forget(&f.app, &f.me).await.unwrap();
    record.set(&f.app, &f.me, many(200).into_iter().map(|i| if i.seq == 9 { until(i, 100) } else { i }));
    assert_eq!(unread(at(20)).await, before.unread);
    record.set(&f.app, &f.me, items);
    let item = NewItem { recipient: &f.me, card: &endless, variant: "en" };
    assert!(inboxes.update(&f.app, &[item], at(20)).await.unwrap()[0].is_some());
    assert_eq!(unread(at(200)).await, before.unread);
    // one whose inbox is cold
    inboxes.forget(&f.app, &f.me).await.unwrap();
    let brief = expiring(9, at(250));
    let item = NewItem { recipient: &f.me, card: &brief, variant: "en" };
    assert!(inboxes.update(&f.app, &[item], at(210)).await.unwrap()[0].is_some());
    assert_eq!((unread(at(249)).await, unread(at(250)).await), (before.unread - 1, before.unread - 2), "3 is over on record");
}

#[tokio::test]
async fn an_item_whose_time_is_over_is_missing_and_not_put_back() {
    let (f, inboxes, record) = inboxes().await;
    let mut items = many(200);
    items[0] = until(recorded(1, 1, 1), 10);
    items[199] = until(recorded(200, 200, 200), 10);
    record.set(&f.app, &f.me, items);
    inboxes.overview(&f.app, &f.me, at(1)).await.unwrap();
    let before = inboxes.overview(&f.app, &f.me, at(10)).await.unwrap();
    let marked = inboxes.mark(&f.app, &f.me, Change::Unread, &ids([1, 200]), at(11)).await.unwrap();
    assert_eq!((marked.missing, marked.items.len(), marked.unread), (ids([1, 200]), 0, before.unread));
    assert_eq!(inboxes.overview(&f.app, &f.me, at(11)).await.unwrap(), before);
    inboxes.forget(&f.app, &f.me).await.unwrap();
    let before = inboxes.overview(&f.app, &f.me, at(12)).await.unwrap();
    let marked = inboxes.mark(&f.app, &f.me, Change::Unread, &ids([200]), at(13)).await.unwrap();
    assert_eq!((marked.missing, marked.cursor), (ids([200]), before.cursor), "nor after a loss");
}

#[tokio::test]
async fn pages_run_on_into_the_record_without_a_gap_or_a_repetition() {
    let (f, inboxes, record) = inboxes().await;
    let mut items = many(300);
    for n in [5, 20, 171, 172, 173, 174, 298] {
        items[n] = archived(items[n].clone());
    }
    for n in [7, 250] {
        items[n] = until(items[n].clone(), 1);
    }
    record.set(&f.app, &f.me, items.clone());
    items.retain(|i| is_alive(i, at(2)));
    items.reverse();
    for (limit, folder) in [1, 7, 100, 291, 292].into_iter().flat_map(|limit| [(limit, Folder::Inbox), (limit, Folder::Archived)])
    {
        let items: Vec<_> = items.iter().filter(|i| folder.holds(&i.item.state)).cloned().collect();
        let filter = Filter { folder, category: None };
        let (mut all, mut place) = (Vec::new(), None);
        loop {
            let page = inboxes.page_of(&f.app, &f.me, &filter, place, limit, at(2)).await.unwrap();
            assert!(page.items.len() == limit || page.next.is_none());
            all.extend(page.items);
            match page.next {
                Some(next) => place = Some(next),
                None => break,
            }
        }
        assert_eq!(all, found(&items), "{folder:?} in pages of {limit}");
        f.trim(100 - limit.min(90), at(2)).await;
    }
}

#[tokio::test]
async fn a_page_of_the_record_shows_what_was_changed_before_the_record_is_told() {
    let (f, inboxes, record) = inboxes().await;
    let mut items = many(300);
    items[5] = archived(items[5].clone());
    record.set(&f.app, &f.me, items); // and is told nothing of what follows
    let listed_in = async |folder, limit| {
        let filter = Filter { folder, category: None };
        let (mut all, mut place) = (Vec::new(), None);
        loop {
            let page = inboxes.page_of(&f.app, &f.me, &filter, place, limit, at(5)).await.unwrap();
            all.extend(page.items.into_iter().map(|i| i.item));
            match page.next {
                Some(next) => place = Some(next),
                None => return all,
            }
        }
    };
    let listed = async |limit| listed_in(Folder::Inbox, limit).await;
    assert_eq!(listed(50).await.len(), 299);
    inboxes.mark(&f.app, &f.me, Change::Archive, &ids([3, 150]), at(2)).await.unwrap();
    inboxes.mark(&f.app, &f.me, Change::Unarchive, &ids([6]), at(3)).await.unwrap();
    inboxes.mark(&f.app, &f.me, Change::Read, &ids([4]), at(4)).await.unwrap();
    let expected: Vec<_> = (1..=300).rev().filter(|n| ![3, 150].contains(n)).map(id).collect();
    for limit in [1, 7, 100, 149, 150, 500] {
        let all = listed(limit).await;
        assert_eq!(all.iter().map(|i| i.id).collect::<Vec<_>>(), expected, "{limit} a page");
        assert!(all.iter().any(|i| i.id == id(4) && i.state.read_at.is_some()), "it is read");
        let archived = listed_in(Folder::Archived, limit).await;
        assert_eq!(archived.iter().map(|i| i.id).collect::<Vec<_>>(), ids([150, 3]), "{limit} a page of the archived");
    }
}

#[tokio::test]
async fn an_inbox_that_is_all_hot_never_asks_the_record_for_a_page() {
    let (f, inboxes, record) = inboxes().await;
    record.set(&f.app, &f.me, many(FULL as u32 - 1));
    inboxes.overview(&f.app, &f.me, at(1)).await.unwrap();
    record.failing.store(true, SeqCst);
    let page = inboxes.page(&f.app, &f.me, None, 500, at(1)).await.unwrap();
    assert_eq!((page.items.len(), page.next), (FULL - 1, None));
}

#[tokio::test]
async fn an_old_item_is_found() {
    let (f, inboxes, record) = inboxes().await;
    let mut items = many(200);
    items[1] = until(items[1].clone(), 10);
    record.set(&f.app, &f.me, items.clone());
    for n in [1, 2, 200] {
        assert_eq!(inboxes.find(&f.app, &f.me, id(n), at(9)).await.unwrap(), found(&items[n as usize - 1..n as usize]).pop());
    }
    assert_eq!(inboxes.find(&f.app, &f.me, id(2), at(10)).await.unwrap(), None, "its time is over");
    assert_eq!(inboxes.find(&f.app, &f.me, id(999), at(9)).await.unwrap(), None);
    assert_eq!(inboxes.find(&f.app, &"you".parse().unwrap(), id(200), at(9)).await.unwrap(), None, "somebody else's");
}

fn assert_failed<T: std::fmt::Debug>(answer: &Result<T, InboxError>) {
    assert!(matches!(answer, Err(InboxError::Record(_))), "{answer:?}");
}

#[tokio::test]
async fn without_its_record_a_cold_inbox_is_an_error_and_nothing_is_written() {
    let (f, inboxes, record) = inboxes().await;
    record.set(&f.app, &f.me, many(3));
    record.failing.store(true, SeqCst);
    let (app, me, now) = (&f.app, &f.me, at(1));
    let new = NewItem { recipient: me, card: &card(9), variant: "en" };
    assert_failed(&inboxes.write(app, std::slice::from_ref(&new), now).await);
    assert_failed(&inboxes.mark(app, me, Change::Read, &[id(1)], now).await);
    assert_failed(&inboxes.mark_all_read(app, me, None, now).await);
    assert_failed(&inboxes.overview(app, me, now).await);
    assert_failed(&inboxes.page(app, me, None, 10, now).await);
    assert_failed(&inboxes.find(app, me, id(1), now).await);
    assert_failed(&inboxes.changes_since(app, me, &cursor(1, 1), 10, now).await);
    assert_eq!(asked_in_redis(&f, "DBSIZE").await, 0);
    record.failing.store(false, SeqCst);
    assert_eq!(inboxes.write(app, &[new], now).await.unwrap()[0].unread, 2, "it is repeated and done");
}

#[tokio::test]
async fn without_its_record_what_is_hot_goes_on() {
    let (f, inboxes, record) = inboxes().await;
    record.set(&f.app, &f.me, many(200));
    let before = inboxes.overview(&f.app, &f.me, at(1)).await.unwrap();
    record.failing.store(true, SeqCst);
    let (app, me, now) = (&f.app, &f.me, at(2));
    assert_failed(&inboxes.mark(app, me, Change::Read, &[id(3)], now).await);
    assert_failed(&inboxes.find(app, me, id(3), now).await);
    assert_failed(&inboxes.page(app, me, Some("p50-".parse().unwrap()), 50, now).await);
    assert_eq!(inboxes.overview(app, me, now).await.unwrap(), before);
    assert_eq!(inboxes.page(app, me, None, 50, now).await.unwrap().items.len(), 50);
    assert_eq!(inboxes.mark(app, me, Change::Read, &[id(198)], now).await.unwrap().unread, before.unread - 1);
    assert_eq!(inboxes.find(app, me, id(198), now).await.unwrap().unwrap().item.state.read_at, Some(now));
}
