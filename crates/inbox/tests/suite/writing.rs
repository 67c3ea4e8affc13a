//! Items of several people that are written at the same time: in few calls, and each as if it were alone.

use std::time::Instant;

use futures_util::future::join_all;
use stentor_domain::{RecipientId, Timestamp, item::Folder};
use stentor_inbox::{Hot, InboxError, NewItem, WarmState, Written};

use crate::support::{Fixture, PATIENCE, at, card, expiring, id, warm};

impl Fixture {
    /// So many people with inboxes that are warm and empty.
    async fn people(&self, many: usize) -> Vec<RecipientId> {
        let people: Vec<RecipientId> = (0..many).map(|n| format!("p{n}").parse().unwrap()).collect();
        for person in &people {
            self.inbox.warm(&self.app, person, &WarmState::default(), at(0)).await.unwrap();
        }
        people
    }

    /// Writes one item to each at the same time, every other one with a time at which it is over.
    async fn write_to_all(&self, people: &[RecipientId]) -> Vec<Result<Hot<Written>, InboxError>> {
        let write = async |n: usize, recipient: &RecipientId| {
            let n = u32::try_from(n).unwrap();
            let card = if n.is_multiple_of(2) { expiring(n, at(9)) } else { card(n) };
            let written = self.inbox.write(&self.app, &[NewItem { recipient, card: &card, variant: "en" }], at(1)).await;
            Ok(written?.remove(0))
        };
        join_all(people.iter().enumerate().map(|(n, recipient)| write(n, recipient))).await
    }
}

#[tokio::test]
async fn what_is_written_at_the_same_time_goes_in_few_calls_each_to_whom_it_is_for() {
    let f = Fixture::new().await;
    let people = f.people(40).await;
    f.write([0], at(1)).await; // Redis has the script by then
    let before = f.scripts_called();
    let written = f.write_to_all(&people).await;
    let calls = f.scripts_called() - before;
    assert!(calls <= 4, "{calls} calls for 40 people");
    for (n, (written, person)) in written.into_iter().zip(&people).enumerate() {
        let written = warm(written.unwrap());
        assert_eq!((written.new, written.seq, written.unread), (true, 1, 1), "{person}");
        let page = warm(f.inbox.page(&f.app, person, Folder::Inbox, None, 9, at(2)).await.unwrap()).items;
        let of: Vec<_> = page.iter().map(|found| (found.item.id, found.item.rev, found.at)).collect();
        assert_eq!(of, [(id(u32::try_from(n).unwrap()), written.rev, written.at)], "{person}");
        let later = warm(f.inbox.overview(&f.app, person, at(10)).await.unwrap()).unread;
        assert_eq!(later, (n % 2) as u64, "{person}");
    }
}

#[tokio::test]
async fn several_of_one_person_keep_their_order_and_a_repeat_is_recognised() {
    let f = Fixture::new().await;
    let written = join_all([1, 2, 3, 1].map(|n| f.write([n], at(1)))).await.concat();
    let of: Vec<_> = written.iter().map(|written| (written.seq, written.unread, written.new)).collect();
    assert_eq!(of, [(1, 1, true), (2, 2, true), (3, 3, true), (1, 3, false)]);
}

#[tokio::test]
async fn an_inbox_that_is_broken_or_cold_keeps_no_other_from_its_item() {
    let f = Fixture::new().await;
    let people = f.people(12).await;
    f.inbox.forget(&f.app, &people[3]).await.unwrap();
    f.redis.command(&["SET", &format!("stentor:inbox:{{demo:{}}}:head", people[5]), "no hash"]);
    for (n, written) in f.write_to_all(&people).await.into_iter().enumerate() {
        match (n, written) {
            (3, Ok(Hot::Cold)) => {}
            (5, Err(InboxError::Malformed(why))) => assert!(why.contains("WRONGTYPE"), "{why}"),
            (_, written) => assert_eq!(warm(written.unwrap()).seq, 1, "of {n}"),
        }
    }
}

#[tokio::test]
async fn a_page_reaches_all_but_whose_inbox_is_broken() {
    let f = Fixture::new().await;
    let people = f.people(40).await;
    f.redis.command(&["SET", &format!("stentor:inbox:{{demo:{}}}:head", people[5]), "no hash"]);
    let card = card(1);
    let items: Vec<_> = people.iter().map(|recipient| NewItem { recipient, card: &card, variant: "en" }).collect();
    let told = f.inbox.write(&f.app, &items, at(1)).await;
    assert!(matches!(&told, Err(InboxError::Malformed(why)) if why.contains("WRONGTYPE")), "{told:?}");
    for person in people.iter().enumerate().filter(|(n, _)| *n != 5).map(|(_, person)| person) {
        let unread = warm(f.inbox.overview(&f.app, person, at(2)).await.unwrap()).unread;
        assert_eq!(unread, 1, "{person}");
    }
}

/// 0 stands for no expiry: whoever gives it must not shift the keys of those who are written to along with them.
#[tokio::test]
async fn an_expiry_at_the_beginning_of_time_touches_nobody_else() {
    let f = Fixture::new().await;
    let people = f.people(3).await;
    let (first, next) = (expiring(1, Timestamp::from_millis(0)), card(2));
    let items: Vec<_> =
        people.iter().zip([&first, &next, &next]).map(|(recipient, card)| NewItem { recipient, card, variant: "en" }).collect();
    let written = f.inbox.write(&f.app, &items, at(1)).await.unwrap();
    assert!(written.into_iter().all(|written| warm(written).unread == 1));
    for person in &people[1..] {
        assert_eq!(
            warm(f.inbox.page(&f.app, person, Folder::Inbox, None, 9, at(2)).await.unwrap()).items[0].item.id,
            id(2),
            "{person}"
        );
    }
}

#[tokio::test]
async fn whoever_waits_behind_a_redis_that_is_gone_is_told_so() {
    let mut f = Fixture::new().await;
    let people = f.people(40).await;
    f.redis.kill();
    let begun = Instant::now();
    let written = f.write_to_all(&people).await;
    assert!(written.iter().all(|written| matches!(written, Err(InboxError::Redis(_)))));
    assert!(begun.elapsed() < PATIENCE / 2, "all at once, and not one after the other: {:?}", begun.elapsed());
}
