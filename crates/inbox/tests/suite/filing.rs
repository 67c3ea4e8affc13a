//! Items that were written and not filed yet: they wait for whoever looks for them, and nobody can tell.

use std::future::ready;

use futures_util::StreamExt;
use stentor_inbox::Change;

use crate::support::{Fixture, at, id};

impl Fixture {
    fn key(&self, part: &str) -> String {
        format!("stentor:inbox:{{{}:{}}}:{part}", self.app, self.me)
    }

    async fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut cmd = redis::cmd(words[0]);
        cmd.arg(&words[1..]).query_async(&mut self.conn.clone()).await.unwrap()
    }

    /// How many items are in the list, and how many of the unread are known as such one by one.
    async fn filed(&self) -> (usize, usize) {
        (self.ask(&["ZCARD", &self.key("order")]).await, self.ask(&["SCARD", &self.key("unread")]).await)
    }

    async fn shown(&self) -> Vec<u64> {
        self.page(None, 5_000, at(3)).await.iter().map(|found| found.seq).collect()
    }
}

#[tokio::test]
async fn what_was_written_counts_and_is_filed_by_who_lists_it() {
    let f = Fixture::new().await;
    assert_eq!(f.write(1..=3, at(1)).await.iter().map(|written| written.unread).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(f.overview(at(2)).await.unread, 3);
    assert_eq!(f.filed().await, (0, 0), "to write costs no more than it must");
    assert_eq!(f.shown().await, [3, 2, 1]);
    assert_eq!(f.filed().await, (3, 3));

    f.write([4, 2], at(2)).await;
    let marked = f.mark(Change::Read, [1, 4], at(3)).await;
    assert_eq!((marked.unread, marked.items.len(), f.filed().await), (2, 2, (4, 2)));
    assert_eq!((f.write([5], at(3)).await[0].unread, f.shown().await), (3, vec![5, 4, 3, 2, 1]));
}

#[tokio::test]
async fn no_more_wait_than_are_filed_in_no_time() {
    let f = Fixture::new().await;
    for part in 0..13 {
        let written = f.write(part * 100 + 1..=part * 100 + 100, at(1)).await;
        assert_eq!(written.last().unwrap().unread, u64::from(part) * 100 + 100);
        let waiting = (part as usize + 1) * 100 - f.filed().await.0;
        assert!(waiting <= 500, "{waiting} wait");
    }
    assert_eq!(f.shown().await, (1..=1_300).rev().collect::<Vec<_>>());
    assert_eq!((f.overview(at(3)).await.unread, f.filed().await), (1_300, (1_300, 1_300)));
}

/// Else what somebody files between the two would be called filed, and be missing from the list.
#[tokio::test]
async fn who_reads_by_plain_commands_reads_the_head_before_the_list() {
    let f = Fixture::new().await;
    f.write([1], at(1)).await;
    f.shown().await;
    let monitor = redis::Client::open(f.redis.url()).unwrap().get_async_monitor().await.unwrap();
    f.shown().await;
    f.redis.command(&["PING", "the end"]);
    let calls: Vec<String> =
        monitor.into_on_message().take_while(|line: &String| ready(!line.contains("the end"))).collect().await;
    let place = |command: &str| calls.iter().position(|call| call.contains(command)).unwrap();
    assert!(place("HGETALL") < place("ZREVRANGEBYSCORE"), "{calls:#?}");
}

/// Until November 2026 nothing waited: such a process leaves what does out of its count, and forgets that there is some.
#[tokio::test]
async fn a_process_of_an_older_version_may_come_by() {
    let f = Fixture::new().await;
    f.write([1], at(1)).await;
    f.shown().await;
    f.write([2, 3, 4], at(1)).await;
    let whole: String = f.ask(&["HGET", &f.key("head"), "whole"]).await;
    let mut parts: Vec<&str> = whole.split(' ').take(8).collect();
    parts[2] = "1"; // unread, as it counts
    f.ask::<()>(&["HSET", &f.key("head"), "whole", &parts.join(" ")]).await;
    let third: String = f.ask(&["HGET", &f.key("items"), "3"]).await;
    let read = third.replacen(" 0 0 0 ", " 1 1 0 ", 1);
    f.ask::<()>(&["HSET", &f.key("items"), "3", &read]).await;

    assert_eq!(f.write([5], at(2)).await[0].unread, 4, "all but the third");
    assert_eq!(f.shown().await, [5, 4, 3, 2, 1]);
    assert_eq!((f.overview(at(3)).await.unread, f.filed().await), (4, (5, 4)));
    assert!(f.find(3, at(3)).await.unwrap().item.state.read_at.is_some() && f.find(3, at(3)).await.unwrap().item.id == id(3));
}
