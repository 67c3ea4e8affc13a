//! Profiles: the newest field stays, whatever the order of writing.

use serde_json::{Value, json};
use stentor_domain::{Event, EventKind, Profile, ProfilePatch};

use crate::support::{Fixture, app, at, id, item, on_both, other, person, shuffled};

on_both! {
    only_given_fields_are_set_and_the_newest_stays
    preferences_have_a_time_of_their_own
    many_are_found_and_listed
    an_erased_recipient_is_gone
}

fn patch(value: Value) -> ProfilePatch {
    serde_json::from_value(value).unwrap()
}

fn profile(value: Value) -> Profile {
    serde_json::from_value(value).unwrap()
}

async fn only_given_fields_are_set_and_the_newest_stays(f: Fixture) {
    let patches = vec![
        (10, json!({"email": "a@example.com", "locale": "en", "timezone": "Europe/Berlin"})),
        (20, json!({"email": "b@example.com", "phone": "+491701234567"})),
        (30, json!({"locale": null, "attributes": {"tier": "gold"}})),
        (40, json!({})),
    ];
    let expected = profile(json!({
        "email": "b@example.com", "phone": "+491701234567", "timezone": "Europe/Berlin", "attributes": {"tier": "gold"},
    }));
    for seed in 0..8 {
        let who = person(&format!("u{seed}"));
        for (time, fields) in shuffled(patches.clone(), seed) {
            f.archive.upsert_recipients(&app(), &[(who.clone(), patch(fields))], at(time), 0).await.unwrap();
        }
        assert_eq!(f.archive.find_recipient(&app(), &who).await.unwrap(), Some(expected.clone()), "seed {seed}");
        // The same as facts, all in one batch.
        let who = person(&format!("f{seed}"));
        let fact = |(time, fields): (i64, Value)| {
            let kind = EventKind::RecipientUpserted { recipient: who.clone(), patch: Box::new(patch(fields)), joined: None };
            Event::new(app(), at(time), kind)
        };
        f.write(&shuffled(patches.clone(), seed).into_iter().map(fact).collect::<Vec<_>>()).await;
        assert_eq!(f.archive.find_recipient(&app(), &who).await.unwrap(), Some(expected.clone()), "seed {seed}");
    }
    assert_eq!(f.archive.find_recipient(&other(), &person("u1")).await.unwrap(), None);
}

async fn preferences_have_a_time_of_their_own(f: Fixture) {
    let who = person("u1");
    let preferences = |on: bool| serde_json::from_value(json!({"channels": {"sms": on}})).unwrap();
    f.archive.set_preferences(&app(), &who, &preferences(false), at(20)).await.unwrap();
    f.archive.set_preferences(&app(), &who, &preferences(true), at(10)).await.unwrap();
    f.archive.upsert_recipients(&app(), &[(who.clone(), patch(json!({"locale": "de"})))], at(30), 0).await.unwrap();
    let expected = profile(json!({"locale": "de", "preferences": {"channels": {"sms": false}}}));
    assert_eq!(f.archive.find_recipient(&app(), &who).await.unwrap(), Some(expected));
}

async fn many_are_found_and_listed(f: Fixture) {
    let all: Vec<_> = (0..2_500).map(|n| (person(&format!("u{n:04}")), patch(json!({"locale": "en"})))).collect();
    f.archive.upsert_recipients(&app(), &all, at(1), 0).await.unwrap();
    f.archive.upsert_recipients(&other(), &all[..1], at(1), 0).await.unwrap();
    let mut ids: Vec<_> = all.iter().map(|(id, _)| id.clone()).collect();
    ids.push(person("nobody"));
    let found = f.archive.find_profiles(&app(), &ids).await.unwrap();
    assert_eq!((found.len(), found.contains_key(&person("nobody"))), (2_500, false));
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = f.archive.list_recipients(&app(), after.as_ref(), 999).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        listed.extend(page.into_iter().map(|(id, _)| id));
    }
    ids.pop();
    assert_eq!(listed, ids);
}

async fn an_erased_recipient_is_gone(f: Fixture) {
    for app in [app(), other()] {
        f.archive.upsert_recipients(&app, &[(person("u1"), patch(json!({"locale": "en"})))], at(1), 0).await.unwrap();
    }
    f.write(&[item("u1", 1), item("u2", 1)]).await;
    f.archive.delete_recipient(&app(), &person("u1")).await.unwrap();
    f.archive.delete_recipient(&app(), &person("u1")).await.unwrap();
    assert_eq!(f.archive.find_recipient(&app(), &person("u1")).await.unwrap(), None);
    assert_eq!(f.archive.find_items(&app(), &person("u1"), &[id(1)]).await.unwrap(), []);
    assert_eq!(f.archive.find_items(&app(), &person("u2"), &[id(1)]).await.unwrap().len(), 1);
    assert!(f.archive.find_recipient(&other(), &person("u1")).await.unwrap().is_some());
}
