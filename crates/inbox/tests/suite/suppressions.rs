//! Hot suppressions: a copy that was never filled is absent, the newest word stays, a category is one and all are all.

use stentor_domain::{Channel, SuppressedAddress, Suppression, SuppressionReason};
use stentor_inbox::{Suppressions, Word};

use crate::support::{Fixture, at};

fn email(text: &str) -> SuppressedAddress {
    SuppressedAddress::parse(Channel::Email, text).unwrap()
}

fn suppression(text: &str, category: Option<&str>, reason: SuppressionReason) -> Suppression {
    Suppression { address: email(text), category: category.map(str::to_owned), reason, detail: None }
}

async fn complete(f: &Fixture, list: &Suppressions) {
    let copy = list.begin_copy(&f.app, "copy").await.unwrap();
    assert!(list.complete(&f.app, &copy).await.unwrap());
}

#[tokio::test]
async fn what_redis_lost_is_absent_and_not_empty() {
    let f = Fixture::cold().await;
    let list = Suppressions::new(f.conn.clone());
    let bounced = suppression("a@example.com", None, SuppressionReason::HardBounce);
    list.suppress(&f.app, &bounced, at(1)).await.unwrap();
    assert_eq!(list.find(&f.app, &[(&bounced.address, None)]).await.unwrap(), None);
    complete(&f, &list).await;
    let nobody = email("b@example.com");
    let asked = [(&bounced.address, Some("news")), (&nobody, None)];
    assert_eq!(list.find(&f.app, &asked).await.unwrap(), Some(vec![Some(SuppressionReason::HardBounce), None]));
    let other = "other".parse().unwrap();
    assert_eq!(list.find(&other, &asked).await.unwrap(), None, "an app's own");
}

#[tokio::test]
async fn the_newest_word_stays_also_against_a_copy_of_the_record() {
    let f = Fixture::cold().await;
    let list = Suppressions::new(f.conn.clone());
    complete(&f, &list).await;
    let s = suppression("a@example.com", None, SuppressionReason::Complaint);
    let of = async || list.find(&f.app, &[(&s.address, Some("news"))]).await.unwrap().unwrap()[0];
    list.lift(&f.app, &s.address, None, at(5)).await.unwrap();
    list.copy(&f.app, &[(&s, at(4))]).await.unwrap(); // who copies the record has read it before it was lifted
    assert_eq!(of().await, None);
    list.copy(&f.app, &[(&s, at(6))]).await.unwrap();
    assert_eq!(of().await, Some(SuppressionReason::Complaint));
}

/// Two processes, of which one's clock is behind.
#[tokio::test]
async fn who_speaks_last_is_heard_whatever_their_clock_says() {
    let f = Fixture::cold().await;
    let list = Suppressions::new(f.conn.clone());
    let s = suppression("a@example.com", None, SuppressionReason::Unsubscribe);
    let last = async || list.last_word(&f.app, &s.address, None).await.unwrap();
    assert_eq!(last().await, None);
    assert_eq!(list.suppress(&f.app, &s, at(9)).await.unwrap(), at(9));
    let lifted = list.lift(&f.app, &s.address, None, at(5)).await.unwrap();
    assert!(lifted > at(9), "the record decides by it as well");
    assert_eq!(last().await, Some(Word::Lifted));
    assert!(list.suppress(&f.app, &s, at(5)).await.unwrap() > lifted);
    assert_eq!(last().await, Some(Word::Suppressed(SuppressionReason::Unsubscribe)));
}

#[tokio::test]
async fn a_copy_that_was_lost_while_it_was_made_is_none() {
    let f = Fixture::cold().await;
    let list = Suppressions::new(f.conn.clone());
    let [first, second] = ["a@example.com", "b@example.com"].map(|text| suppression(text, None, SuppressionReason::HardBounce));
    let copy = list.begin_copy(&f.app, "one").await.unwrap();
    list.copy(&f.app, &[(&first, at(1))]).await.unwrap();
    redis::cmd("FLUSHDB").query_async::<()>(&mut f.conn.clone()).await.unwrap();
    list.copy(&f.app, &[(&second, at(1))]).await.unwrap();
    assert!(!list.complete(&f.app, &copy).await.unwrap());
    assert_eq!(list.find(&f.app, &[(&first.address, None)]).await.unwrap(), None);
    let (one, other) = (list.begin_copy(&f.app, "one").await.unwrap(), list.begin_copy(&f.app, "other").await.unwrap());
    assert!(list.complete(&f.app, &other).await.unwrap() && list.complete(&f.app, &one).await.unwrap(), "two at a time");
}

#[tokio::test]
async fn a_category_is_one_and_none_is_all() {
    let f = Fixture::cold().await;
    let list = Suppressions::new(f.conn.clone());
    complete(&f, &list).await;
    let news = suppression("a@example.com", Some("news"), SuppressionReason::Unsubscribe);
    list.suppress(&f.app, &news, at(1)).await.unwrap();
    let address = &news.address;
    let found = list.find(&f.app, &[(address, Some("news")), (address, Some("billing")), (address, None)]).await.unwrap();
    assert_eq!(found, Some(vec![Some(SuppressionReason::Unsubscribe), None, None]));
}
