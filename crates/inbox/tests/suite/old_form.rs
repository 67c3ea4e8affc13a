//! Inboxes as they were kept until November 2026, each part of the head and each card in a field of its own: whoever comes first puts
//! them into the present form, and nothing of them is lost.

use stentor_inbox::Change;

use crate::support::{Fixture, at, expiring, id};

/// What the fields of the head were called, in the order of `whole`.
const PARTS: [&str; 8] = ["epoch", "rev", "unread", "seq", "at", "base", "floor", "due"];

impl Fixture {
    /// Brings what lies in Redis into the old form.
    async fn age(&self) {
        let mut conn = self.conn.clone();
        let key = |part: &str| format!("stentor:inbox:{{{}:{}}}:{part}", self.app, self.me);
        let mut pipe = redis::pipe();
        let whole: String = redis::cmd("HGET").arg(key("head")).arg("whole").query_async(&mut conn).await.unwrap();
        for (part, value) in PARTS.iter().zip(whole.split(' ')).filter(|(part, value)| **part != "due" || *value != "0") {
            pipe.cmd("HSET").arg(key("head")).arg(part).arg(value).ignore();
        }
        pipe.cmd("HDEL").arg(key("head")).arg("whole").ignore();
        let items: Vec<(String, String)> = redis::cmd("HGETALL").arg(key("items")).query_async(&mut conn).await.unwrap();
        pipe.cmd("HDEL").arg(key("items")).arg("history").ignore();
        for (seq, item) in items.iter().filter(|(field, _)| field.starts_with(|c: char| c.is_ascii_digit())) {
            let (state, card) = item.split_once('\n').unwrap();
            pipe.cmd("HSET").arg(key("items")).arg(seq).arg(state).arg(format!("c{seq}")).arg(card).ignore();
        }
        pipe.exec_async(&mut conn).await.unwrap();
    }
}

#[tokio::test]
async fn whatever_comes_first_finds_all_of_it() {
    for first in ["overview", "page", "find", "write", "mark", "changes"] {
        let f = Fixture::new().await;
        f.write(1..=3, at(1)).await;
        f.write_cards(&[expiring(4, at(50))], at(1)).await;
        f.mark(Change::Read, [2], at(2)).await;
        let (overview, page) = (f.overview(at(3)).await, f.page(None, 10, at(3)).await);
        f.age().await;
        match first {
            "overview" => assert_eq!(f.overview(at(3)).await, overview),
            "page" => assert_eq!(f.page(None, 10, at(3)).await, page),
            "find" => assert_eq!(f.find(2, at(3)).await.as_ref(), Some(&page[2])),
            "write" => assert_eq!(f.write([1], at(3)).await[0].seq, page[3].seq, "it is known"),
            "mark" => assert_eq!(f.mark(Change::Read, [2], at(3)).await.items, []),
            _ => assert!(f.inbox.changes_since(&f.app, &f.me, overview.cursor, 10, at(3)).await.is_ok()),
        }
        assert_eq!((f.overview(at(3)).await, f.page(None, 10, at(3)).await), (overview.clone(), page.clone()), "{first}");
        let next = f.write([5], at(4)).await[0];
        assert_eq!((next.new, next.seq, next.rev), (true, page[0].seq + 1, overview.cursor.rev + 1), "{first}");
        assert_eq!(f.page(None, 10, at(60)).await.iter().map(|i| i.item.id).collect::<Vec<_>>(), [5, 3, 2, 1].map(id), "{first}");
    }
}
