//! A Redis that comes back without its latest changes, as one does that crashed, or a replica that lagged: nobody goes on as if they
//! were there.

use stentor_domain::{NotificationId, Timestamp};
use stentor_inbox::{Cursor, Inboxes, NewItem};

use crate::{
    support::{Fixture, Record, at, card, eventually, ids, inboxes},
    timeline::{append, everyone, listed},
};

/// Writes an entry of the timeline and an item; gives the cursor after that.
async fn write(f: &Fixture, i: &Inboxes, record: &Record, n: u32, now: Timestamp) -> Cursor {
    append(f, i, record, &[everyone(n)], now).await;
    i.write(&f.app, &[NewItem { recipient: &f.me, card: &card(100 + n), variant: "en" }], now).await.unwrap();
    i.overview(&f.app, &f.me, now).await.unwrap().cursor
}

/// What is listed, by id: what was written within a millisecond of Redis's clock may stand either way.
async fn found(f: &Fixture, i: &Inboxes, now: Timestamp) -> Vec<NotificationId> {
    let mut found = listed(f, i, 9, now).await;
    found.sort_unstable();
    found
}

async fn is_back(f: &Fixture) {
    eventually("Redis", async || redis::cmd("PING").query_async::<String>(&mut f.conn.clone()).await.ok()).await;
}

#[tokio::test]
async fn what_is_given_the_revisions_of_what_was_lost_is_missed_by_nobody() {
    let (mut f, i, record) = inboxes().await;
    let other = Inboxes::new(f.inbox.clone(), record.clone()); // as another process has it
    i.overview(&f.app, &f.me, at(1)).await.unwrap();
    let kept = write(&f, &i, &record, 1, at(1)).await;
    let saved = f.redis.save();
    let lost = write(&f, &i, &record, 2, at(2)).await;
    assert_eq!(listed(&f, &other, 9, at(2)).await.len(), 4);
    f.redis.restart_from(&saved);
    is_back(&f).await;
    let overtaken = append(&f, &i, &record, &[everyone(3)], at(3)).await.remove(0);
    let item = i.write(&f.app, &[NewItem { recipient: &f.me, card: &card(103), variant: "en" }], at(3)).await.unwrap()[0];
    assert_eq!((overtaken.rev, item.rev), (lost.timeline.rev, lost.own.rev), "they stand where the lost ones stood");

    for inboxes in [&i, &other] {
        assert_eq!(found(&f, inboxes, at(4)).await, ids([1, 3, 101, 103]));
    }
    let nothing = i.mark_all_read(&f.app, &f.me, Some(&lost), at(4)).await.unwrap();
    assert_eq!((nothing.unread, nothing.ids().count()), (4, 0), "what was not seen is not read");
    for (cursor, which) in [(&lost, "of the lost time"), (&kept, "of before: nobody can tell it from one that is not")] {
        let told = i.changes_since(&f.app, &f.me, cursor, 9, at(5)).await.unwrap();
        assert_eq!((told.recovered, told.unread), (false, 4), "a cursor {which}");
        assert!(told.cursor.own.epoch > cursor.own.epoch && told.cursor.timeline.epoch > cursor.timeline.epoch);
        // the record may hold what was lost
        assert!(told.cursor.own.rev > lost.own.rev && told.cursor.timeline.rev > lost.timeline.rev + 999_999);
    }
    let now = i.overview(&f.app, &f.me, at(5)).await.unwrap().cursor;
    let next = append(&f, &i, &record, &[everyone(4)], at(6)).await.remove(0);
    let item = i.write(&f.app, &[NewItem { recipient: &f.me, card: &card(104), variant: "en" }], at(6)).await.unwrap()[0];
    assert_eq!((next.seq, item.rev), (now.timeline.rev + 1, now.own.rev + 1));
    assert!(item.seq > 1_000_000);
    let told = i.changes_since(&f.app, &f.me, &now, 9, at(7)).await.unwrap();
    assert_eq!((told.recovered, told.items.len(), told.unread), (true, 2, 6), "it goes on from there");
}

#[tokio::test]
async fn a_copy_that_is_ahead_of_redis_is_given_up_also_where_redis_does_not_say_what_it_went_through() {
    let (mut f, i, record) = inboxes().await;
    i.overview(&f.app, &f.me, at(1)).await.unwrap();
    write(&f, &i, &record, 1, at(1)).await;
    let saved = f.redis.save();
    let lost = write(&f, &i, &record, 2, at(2)).await;
    f.redis.restart_from(&saved);
    f.redis.command(&["ACL", "SETUSER", "default", "-info"]);
    is_back(&f).await;
    assert_eq!(found(&f, &i, at(4)).await, ids([1, 101]));
    assert!(!i.changes_since(&f.app, &f.me, &lost, 9, at(4)).await.unwrap().recovered);
    append(&f, &i, &record, &[everyone(3)], at(5)).await;
    assert_eq!(found(&f, &i, at(5)).await, ids([1, 3, 101]));
}
