//! Versions of templates and the live pointer.

use std::collections::BTreeMap;

use stentor_archive::{Released, TemplateTest};
use stentor_domain::AppId;

use crate::support::{Fixture, app, at, on_both, other};

on_both! {
    versions_never_change_and_are_the_apps_own
    the_live_pointer_moves_and_every_move_is_kept
    what_is_not_live_is_told_from_what_never_was
    two_who_publish_at_once_are_told_apart
    what_a_test_was_sent_with_is_no_version_and_goes_in_time
}

fn files(text: &str) -> BTreeMap<String, String> {
    [("en/content.md".to_owned(), text.to_owned())].into()
}

async fn versions_never_change_and_are_the_apps_own(f: Fixture) {
    let (bank, a) = (app(), f.archive.clone());
    for (app, hash, text) in
        [(Some(&bank), "h1", "one"), (Some(&bank), "h2", "two"), (Some(&bank), "h1", "ONE"), (None, "h9", "shared")]
    {
        a.put_template_version(app, "hello", hash, &files(text), 1_000, at(1)).await.unwrap().unwrap();
    }
    let read = async |app, hash| a.find_template_files(app, "hello", hash).await.unwrap();
    assert_eq!(read(Some(&bank), "h1").await, Some(files("one")), "what is on record stays as it was");
    assert_eq!((read(None, "h9").await, read(None, "h1").await), (Some(files("shared")), None));
    assert_eq!(read(Some(&other()), "h1").await, None, "another app's");
    let list = a.list_template_versions(Some(&bank), "hello", None, 10).await.unwrap();
    assert_eq!(list.iter().map(|v| (v.number, v.hash.as_str())).collect::<Vec<_>>(), [(2, "h2"), (1, "h1")]);
    assert_eq!(a.list_template_versions(Some(&bank), "hello", Some(2), 10).await.unwrap(), list[1..]);
    assert_eq!(a.find_template_version_by_number(Some(&bank), "hello", 2).await.unwrap(), Some(list[0].clone()));
    assert_eq!(a.put_template_version(Some(&bank), "hello", "h3", &files("three"), 2, at(2)).await.unwrap(), None, "no room");
    assert!(a.put_template_version(Some(&bank), "hello", "h2", &files("two"), 2, at(2)).await.unwrap().is_some(), "no new one");
}

async fn the_live_pointer_moves_and_every_move_is_kept(f: Fixture) {
    let (bank, a) = (app(), f.archive.clone());
    assert!(a.live_templates(&bank).await.unwrap().is_empty());
    for (n, hash) in [(1, Some("h1")), (2, Some("h2")), (3, None), (4, Some("h1"))] {
        assert_eq!(
            a.release_template(&bank, "hello", hash, None, at(n)).await.unwrap(),
            Released::Done(u32::try_from(n).unwrap())
        );
    }
    assert_eq!(a.live_templates(&bank).await.unwrap(), [("hello".to_owned(), "h1".to_owned())].into());
    assert!(a.live_templates(&other()).await.unwrap().is_empty());
    let moves = a.list_template_releases(&bank, "hello", 3).await.unwrap();
    let moves: Vec<_> = moves.iter().map(|r| (r.number, r.hash.as_deref(), r.at)).collect();
    assert_eq!(moves, [(4, Some("h1"), at(4)), (3, None, at(3)), (2, Some("h2"), at(2))]);
}

async fn what_is_not_live_is_told_from_what_never_was(f: Fixture) {
    let (bank, a) = (app(), f.archive.clone());
    for key in ["draft", "live", "shared-again", "taken-back"] {
        a.put_template_version(Some(&bank), key, "h1", &files("one"), 1_000, at(1)).await.unwrap().unwrap();
    }
    a.put_template_version(Some(&other()), "elsewhere", "h1", &files("one"), 1_000, at(1)).await.unwrap().unwrap();
    for (key, hash) in [("live", Some("h1")), ("shared-again", None), ("taken-back", Some("h1")), ("taken-back", None)] {
        a.release_template(&bank, key, hash, None, at(2)).await.unwrap();
    }
    let mut drafts: Vec<_> =
        a.list_template_drafts(&bank).await.unwrap().into_iter().map(|draft| (draft.key, draft.was_live)).collect();
    drafts.sort();
    assert_eq!(drafts, [("draft", false), ("shared-again", false), ("taken-back", true)].map(|(k, was)| (k.to_owned(), was)));
}

async fn two_who_publish_at_once_are_told_apart(f: Fixture) {
    let (bank, a) = (app(), f.archive.clone());
    a.release_template(&bank, "hello", Some("h1"), Some(None), at(1)).await.unwrap();
    let both = [("h2", at(2)), ("h3", at(2))].map(|(hash, at)| {
        let (a, bank) = (a.clone(), bank.clone());
        tokio::spawn(async move { a.release_template(&bank, "hello", Some(hash), Some(Some("h1")), at).await.unwrap() })
    });
    let mut outcomes = Vec::new();
    for one in both {
        outcomes.push(one.await.unwrap());
    }
    assert_eq!(outcomes.iter().filter(|o| matches!(o, Released::Done(2))).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|o| matches!(o, Released::Conflict { live: Some(_) })).count(), 1, "{outcomes:?}");
}

async fn what_a_test_was_sent_with_is_no_version_and_goes_in_time(f: Fixture) {
    let (bank, a) = (app(), f.archive.clone());
    let put = async |app: &AppId, hash: &str, now, until| {
        let test = TemplateTest { key: "hello", hash, files: &files(hash), until: at(until) };
        a.put_template_test(app, test, 2, at(now)).await.unwrap();
    };
    let kept = async || {
        let mut kept = Vec::new();
        for hash in ["t1", "t2", "t3", "t4"] {
            kept.extend(a.find_template_test(&bank, "hello", hash).await.unwrap().map(|files| files["en/content.md"].clone()));
        }
        kept
    };
    put(&bank, "t1", 1, 11).await;
    put(&bank, "t2", 2, 12).await;
    put(&bank, "t1", 3, 13).await;
    put(&other(), "t1", 3, 13).await;
    assert_eq!(kept().await, ["t1", "t2"]);
    put(&bank, "t3", 4, 14).await;
    assert_eq!(kept().await, ["t1", "t3"], "the oldest beyond two; one that was sent again is no longer that");
    put(&bank, "t4", 13, 23).await;
    assert_eq!(kept().await, ["t3", "t4"], "their time is over");
    assert!(a.find_template_test(&other(), "hello", "t1").await.unwrap().is_some(), "another app's stay");
    assert!(a.list_template_versions(Some(&bank), "hello", None, 10).await.unwrap().is_empty());
    assert_eq!(a.count_templates(&bank).await.unwrap(), 0);
}
