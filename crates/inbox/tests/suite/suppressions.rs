//! Hot suppressions: a copy that was never filled is absent, the newest word stays, a category is one and all are all.

use stentor_domain::{Channel, SuppressedAddress, Suppression, SuppressionReason};
use stentor_inbox::Suppressions;

use crate::support::{Fixture, at};

fn email(text: &str) -> SuppressedAddress {
    SuppressedAddress::parse(Channel::Email, text).unwrap()
}

fn suppression(text: &str, category: Option<&str>, reason: SuppressionReason) -> Suppression {
    Suppression { address: email(text), category: category.map(str::to_owned), reason, detail: None }
}

#[tokio::test]
async fn what_redis_lost_is_absent_and_not_empty() {
    let f = Fixture::cold().await;
    let list = Suppressions::new(f.conn.clone());
    let bounced = suppression("a@example.com", None, SuppressionReason::HardBounce);
    list.set(&f.app, &[(&bounced, at(1))]).await.unwrap();
    assert_eq!(list.find(&f.app, &[(&bounced.address, None)]).await.unwrap(), None);
    list.complete(&f.app).await.unwrap();
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
    list.complete(&f.app).await.unwrap();
    let s = suppression("a@example.com", None, SuppressionReason::Complaint);
    let of = async || list.find(&f.app, &[(&s.address, Some("news"))]).await.unwrap().unwrap()[0];
    list.lift(&f.app, &s.address, None, at(5)).await.unwrap();
    list.set(&f.app, &[(&s, at(4))]).await.unwrap(); // who copies the record has read it before it was lifted
    assert_eq!(of().await, None);
    list.set(&f.app, &[(&s, at(6))]).await.unwrap();
    list.lift(&f.app, &s.address, None, at(5)).await.unwrap();
    assert_eq!(of().await, Some(SuppressionReason::Complaint));
}

#[tokio::test]
async fn a_category_is_one_and_none_is_all() {
    let f = Fixture::cold().await;
    let list = Suppressions::new(f.conn.clone());
    list.complete(&f.app).await.unwrap();
    let news = suppression("a@example.com", Some("news"), SuppressionReason::Unsubscribe);
    list.set(&f.app, &[(&news, at(1))]).await.unwrap();
    let address = &news.address;
    let found = list.find(&f.app, &[(address, Some("news")), (address, Some("billing")), (address, None)]).await.unwrap();
    assert_eq!(found, Some(vec![Some(SuppressionReason::Unsubscribe), None, None]));
}
