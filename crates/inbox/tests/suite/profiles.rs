//! Hot profiles: the newer field wins, whatever the order of arrival, and the record only fills in.

use serde_json::{Value, from_value, json};
use stentor_domain::{Preferences, Profile, ProfilePatch, RecipientId};
use stentor_inbox::{HotProfile, Profiles};

use crate::support::{Fixture, at};

fn profile(value: Value) -> Profile {
    from_value(value).unwrap()
}

fn patch(value: Value) -> ProfilePatch {
    from_value(value).unwrap()
}

fn hot(complete: bool, value: Value) -> HotProfile {
    HotProfile { profile: profile(value), complete }
}

struct People {
    f: Fixture,
    profiles: Profiles,
}

impl People {
    async fn new() -> Self {
        let f = Fixture::cold().await;
        Self { profiles: Profiles::new(f.conn.clone()), f }
    }

    async fn resolve(&self, value: Value, seconds: u32) -> HotProfile {
        let patches = [(self.f.me.clone(), patch(value))];
        self.profiles.resolve(&self.f.app, &patches, at(seconds)).await.unwrap().pop().unwrap()
    }

    async fn complete(&self, value: Value) -> HotProfile {
        let records = [(self.f.me.clone(), profile(value))];
        self.profiles.complete(&self.f.app, &records).await.unwrap().pop().unwrap()
    }

    async fn find(&self) -> Option<Profile> {
        self.profiles.find(&self.f.app, &self.f.me).await.unwrap()
    }
}

#[tokio::test]
async fn a_copy_that_has_not_seen_the_record_is_incomplete() {
    let p = People::new().await;
    assert_eq!(p.resolve(json!({}), 1).await, hot(false, json!({})));
    assert_eq!(p.find().await, None);
    assert_eq!(p.resolve(json!({ "email": "a@example.com" }), 1).await, hot(false, json!({ "email": "a@example.com" })));
    assert_eq!(p.find().await, None);
    let all = json!({ "email": "a@example.com", "locale": "de", "attributes": { "plan": "pro" } });
    assert_eq!(p.complete(json!({ "locale": "de", "attributes": { "plan": "pro" } })).await, hot(true, all.clone()));
    assert_eq!(p.find().await, Some(profile(all.clone())));
    assert_eq!(p.resolve(json!({}), 2).await, hot(true, all));
}

#[tokio::test]
async fn somebody_without_a_record_is_complete_too() {
    let p = People::new().await;
    assert_eq!(p.complete(json!({})).await, hot(true, json!({})));
    assert_eq!(p.find().await, Some(Profile::default()));
}

#[tokio::test]
async fn the_newer_field_wins_whatever_the_order_of_arrival() {
    let p = People::new().await;
    p.resolve(json!({ "email": "new@example.com", "phone": "+4915112345678" }), 20).await;
    let late = p.resolve(json!({ "email": "old@example.com", "locale": "de" }), 10).await;
    assert_eq!(late, hot(false, json!({ "email": "new@example.com", "phone": "+4915112345678", "locale": "de" })));
    let newest = p.resolve(json!({ "email": null, "timezone": "Europe/Berlin" }), 30).await;
    let rest = json!({ "phone": "+4915112345678", "locale": "de", "timezone": "Europe/Berlin" });
    assert_eq!(newest, hot(false, rest.clone()), "a field that was cleared is gone");
    assert_eq!(p.resolve(json!({ "email": "old@example.com" }), 25).await, hot(false, rest), "and stays gone");
    let again = p.resolve(json!({ "locale": "fr", "attributes": { "a": 1 } }), 30).await;
    assert_eq!((again.profile.locale.unwrap().as_str(), again.profile.attributes.len()), ("fr", 1));
}

#[tokio::test]
async fn the_record_never_overwrites_what_is_held() {
    let p = People::new().await;
    p.resolve(json!({ "email": "held@example.com", "phone": null }), 1).await;
    let (app, me) = (&p.f.app, &p.f.me);
    let quiet: Preferences = from_value(json!({ "channels": { "sms": false } })).unwrap();
    p.profiles.set_preferences(app, me, &quiet, at(1)).await.unwrap();
    let old = json!({
        "email": "old@example.com", "phone": "+4915112345678", "locale": "de",
        "preferences": { "channels": { "email": false } },
    });
    let all = json!({ "email": "held@example.com", "locale": "de", "preferences": { "channels": { "sms": false } } });
    assert_eq!(p.complete(old.clone()).await, hot(true, all.clone()));
    assert_eq!(p.complete(old).await, hot(true, all.clone()));
    assert_eq!(p.find().await, Some(profile(all)));
}

#[tokio::test]
async fn what_was_written_to_the_record_is_set_here() {
    let p = People::new().await;
    let (app, me) = (&p.f.app, &p.f.me);
    p.complete(json!({ "email": "a@example.com", "preferences": { "channels": { "email": false } } })).await;
    p.profiles.set(app, &[(me.clone(), patch(json!({ "email": "b@example.com" })))], at(5)).await.unwrap();
    let wish = |channel: &str| from_value::<Preferences>(json!({ "categories": { "billing": { channel: false } } })).unwrap();
    p.profiles.set_preferences(app, me, &wish("sms"), at(5)).await.unwrap();
    p.profiles.set_preferences(app, me, &wish("email"), at(4)).await.unwrap();
    let now = json!({ "email": "b@example.com", "preferences": { "categories": { "billing": { "sms": false } } } });
    assert_eq!(p.find().await, Some(profile(now)));
}

#[tokio::test]
async fn who_is_forgotten_is_read_from_the_record_anew() {
    let p = People::new().await;
    p.resolve(json!({ "email": "a@example.com" }), 1).await;
    p.complete(json!({})).await;
    p.profiles.forget(&p.f.app, &p.f.me).await.unwrap();
    assert_eq!(p.find().await, None);
    assert_eq!(p.resolve(json!({}), 1).await, hot(false, json!({})), "looking made nothing");
}

#[tokio::test]
async fn many_are_answered_in_order_and_kept_apart() {
    let p = People::new().await;
    let people: Vec<RecipientId> = (0..1_203).map(|n| format!("u{n}").parse().unwrap()).collect();
    let mail = |n: usize| json!({ "email": format!("u{n}@example.com") });
    let patches: Vec<_> = people.iter().enumerate().map(|(n, id)| (id.clone(), patch(mail(n)))).collect();
    let answers = p.profiles.resolve(&p.f.app, &patches, at(1)).await.unwrap();
    assert_eq!(answers, (0..people.len()).map(|n| hot(false, mail(n))).collect::<Vec<_>>());
    let other =
        p.profiles.resolve(&"other".parse().unwrap(), &[(people[0].clone(), ProfilePatch::default())], at(1)).await.unwrap();
    assert_eq!(other, [hot(false, json!({}))], "another app's");
}

#[tokio::test]
async fn a_copy_lives_for_two_days_after_it_was_last_written() {
    let p = People::new().await;
    p.complete(json!({})).await;
    let key = "stentor:profile:{demo:me}";
    let mut conn = p.f.conn.clone();
    redis::cmd("PEXPIRE").arg(key).arg(60_000).query_async::<()>(&mut conn).await.unwrap();
    p.find().await.unwrap();
    let mut life = async || redis::cmd("PTTL").arg(key).query_async::<i64>(&mut conn).await.unwrap();
    assert!((1..=60_000).contains(&life().await), "reading prolongs nothing");
    p.resolve(json!({ "locale": "de" }), 1).await;
    let life = life().await;
    assert!((172_000_000..=172_800_000).contains(&life), "{life}");
}
