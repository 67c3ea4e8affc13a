//! Apps and their keys.

use stentor_archive::{ApiKey, App};

use crate::support::{Fixture, app, at, on_both, other};

on_both! { apps_are_made_once_and_found keys_are_the_apps_own_and_revoked_once }

fn new(id: &str) -> App {
    App { id: id.parse().unwrap(), name: format!("The {id}"), inbox_secret: vec![0, 255, 7], created_at: at(1) }
}

async fn apps_are_made_once_and_found(f: Fixture) {
    for id in ["news", "bank"] {
        f.archive.insert_app(&new(id)).await.unwrap();
    }
    assert!(f.archive.insert_app(&new("bank")).await.is_err());
    assert!(f.archive.find_app(&app()).await.unwrap().unwrap() == new("bank"));
    let names: Vec<_> = f.archive.list_apps().await.unwrap().into_iter().map(|app| app.name).collect();
    assert_eq!(names, ["The bank", "The news"]);
    assert!(f.archive.find_app(&"shop".parse().unwrap()).await.unwrap().is_none());
}

async fn keys_are_the_apps_own_and_revoked_once(f: Fixture) {
    f.archive.insert_app(&new("bank")).await.unwrap();
    f.archive.insert_app(&new("news")).await.unwrap();
    let key = |id: &str| ApiKey {
        id: id.into(),
        app: app(),
        name: "ci".into(),
        secret_sha256: [9; 32],
        scopes: vec!["send".into(), "read".into()],
        created_at: at(2),
        revoked_at: None,
    };
    f.archive.insert_key(&key("b")).await.unwrap();
    f.archive.insert_key(&key("a")).await.unwrap();
    assert!(f.archive.insert_key(&key("a")).await.is_err());
    assert!(f.archive.find_key("a").await.unwrap().unwrap() == key("a"));
    assert!(f.archive.find_key("c").await.unwrap().is_none());
    let ids = async |app| f.archive.list_keys(&app).await.unwrap().into_iter().map(|key| key.id).collect::<Vec<_>>();
    assert_eq!((ids(app()).await, ids(other()).await), (vec!["a".into(), "b".into()], vec![]));

    // by age, those that hold first, in pages
    for (id, made, revoked) in [("d", 9, None), ("c", 9, None), ("x", 8, Some(at(10))), ("y", 1, Some(at(11)))] {
        f.archive.insert_key(&ApiKey { created_at: at(made), revoked_at: revoked, ..key(id) }).await.unwrap();
    }
    for limit in [1, 2, 10] {
        let (mut seen, mut after) = (Vec::<String>::new(), None);
        loop {
            let page = f.archive.page_of_keys(&app(), after.as_deref(), limit).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            seen.extend(page.into_iter().map(|key| key.id));
        }
        assert_eq!(seen, ["c", "d", "a", "b", "x", "y"], "by {limit}");
    }
    assert!(f.archive.page_of_keys(&other(), Some("c"), 10).await.unwrap().is_empty());

    assert!(!f.archive.revoke_key(&other(), "a", at(3)).await.unwrap(), "another app's");
    assert!(f.archive.revoke_key(&app(), "a", at(3)).await.unwrap());
    assert!(!f.archive.revoke_key(&app(), "a", at(4)).await.unwrap(), "once");
    assert_eq!(f.archive.find_key("a").await.unwrap().unwrap().revoked_at, Some(at(3)));
    assert_eq!(f.archive.find_key("b").await.unwrap().unwrap().revoked_at, None);
}
