//! What the catalog promises when SQL is down, when another process publishes, and when a program is another build.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use stentor_archive::Archive;
use stentor_catalog::{Catalog, CatalogError, Files, SharedTemplates};
use stentor_connection::Place;
use stentor_domain::{AppId, Timestamp};
use stentor_testkit::{Postgres, RedisServer};
use tokio_util::sync::CancellationToken;

const KEY: &str = "hello";

fn app() -> AppId {
    "bank".parse().unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000)
}

fn files(words: &str) -> Files {
    let content = format!("+++\ntitle = \"{words}\"\nsummary = \"{words}\"\n+++\n\n{words}\n");
    BTreeMap::from([
        ("template.toml".to_owned(), "title = \"Hello\"\ndefault_locale = \"en\"\n".to_owned()),
        ("schema.json".to_owned(), r#"{"type": "object", "additionalProperties": false}"#.to_owned()),
        ("samples/none.json".to_owned(), "{}".to_owned()),
        ("en/content.md".to_owned(), content),
    ])
}

fn write(dir: &Path, files: &Files) {
    for (path, text) in files {
        let file = dir.join(KEY).join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
}

async fn start(redis: &RedisServer, archive: &Archive, dir: Option<&Path>) -> Catalog {
    let place: Place = redis.url().parse().unwrap();
    let conn = place.connect().await.unwrap();
    let shared = SharedTemplates::load(dir).unwrap();
    Catalog::start(place, conn, archive.clone(), shared, now(), CancellationToken::new()).await.unwrap()
}

async fn sqlite(dir: &Path) -> Archive {
    let archive = Archive::connect(&format!("sqlite:{}?mode=rwc", dir.join("stentor.db").display())).await.unwrap();
    archive.migrate().await.unwrap();
    archive
}

async fn publish(catalog: &Catalog, words: &str) -> String {
    let put = catalog.put(&app(), KEY, files(words), true, now()).await.unwrap();
    catalog.release(&app(), KEY, Some(&put.version.hash), None, now()).await.unwrap();
    put.version.hash
}

#[tokio::test]
async fn a_shared_version_is_found_by_programs_that_ship_another() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let archive = sqlite(dir.path()).await;
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    write(&old, &files("Old"));
    write(&new, &files("New"));
    let (before, after) = (start(&redis, &archive, Some(&old)).await, start(&redis, &archive, Some(&new)).await);
    let (was, is) = (before.find_shared(KEY).unwrap(), after.find_shared(KEY).unwrap());
    assert_ne!(was.hash, is.hash);
    // Each finds what the other's notifications were accepted with.
    assert_eq!(after.version(&app(), KEY, &was.hash).await.unwrap().files, was.files);
    assert_eq!(before.version(&app(), KEY, &is.hash).await.unwrap().files, is.files);
    // A folder that is read again takes the place of what was there; what was accepted still finds its own.
    before.replace_shared(SharedTemplates::load(Some(&new)).unwrap(), now()).await.unwrap();
    assert_eq!(before.find(&app(), KEY).await.unwrap().unwrap().hash, is.hash);
    assert_eq!(before.version(&app(), KEY, &was.hash).await.unwrap().hash, was.hash);
}

#[tokio::test]
async fn drafts_are_what_no_request_can_name_and_shared_ones_take_none_of_their_places() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let archive = sqlite(dir.path()).await;
    let shared = dir.path().join("shared");
    write(&shared, &files("Shared"));
    let catalog = start(&redis, &archive, Some(&shared)).await;
    for key in ["a-draft", KEY, "z-draft"] {
        catalog.put(&app(), key, files("Kept"), true, now()).await.unwrap();
    }
    let drafts = async |after, limit| {
        let drafts = catalog.drafts(&app(), after, limit).await.unwrap();
        drafts.into_iter().map(|draft| (draft.key, draft.was_live)).collect::<Vec<_>>()
    };
    let named = |keys: &[(&str, bool)]| keys.iter().map(|(key, was)| ((*key).to_owned(), *was)).collect::<Vec<_>>();
    assert_eq!(drafts(None, 2).await, named(&[("a-draft", false), ("z-draft", false)]), "the shared one shows through");
    assert_eq!(drafts(None, 1).await, named(&[("a-draft", false)]));
    assert_eq!(drafts(Some("a-draft"), 1).await, named(&[("z-draft", false)]));
    // what was live, was taken back to the shared one, and is without it now
    publish(&catalog, "Own").await;
    catalog.release(&app(), KEY, None, None, now()).await.unwrap();
    assert_eq!(drafts(None, 9).await.len(), 2);
    let none = dir.path().join("none");
    fs::create_dir(&none).unwrap();
    catalog.replace_shared(SharedTemplates::load(Some(&none)).unwrap(), now()).await.unwrap();
    assert_eq!(drafts(None, 9).await, named(&[("a-draft", false), (KEY, true), ("z-draft", false)]));
}

#[tokio::test]
async fn with_sql_down_what_is_known_stays_true_and_what_is_not_is_no_guess() {
    let (redis, mut postgres) = (RedisServer::start(), Postgres::start());
    let archive = Archive::connect(&postgres.create_database("stentor")).await.unwrap();
    archive.migrate().await.unwrap();
    let catalog = start(&redis, &archive, None).await;
    let (one, two) = (publish(&catalog, "One").await, publish(&catalog, "Two").await);
    assert_eq!(catalog.find(&app(), KEY).await.unwrap().unwrap().hash, two);
    postgres.kill();
    assert_eq!(catalog.find(&app(), KEY).await.unwrap().unwrap().hash, two, "known and compiled");
    let lost = catalog.version(&app(), KEY, &one).await;
    assert!(matches!(lost, Err(CatalogError::Archive(_))), "a version that is not in memory waits for SQL: {lost:?}");
    let strange = catalog.find(&"news".parse().unwrap(), "welcome").await;
    assert!(matches!(strange, Err(CatalogError::Archive(_))), "whether it hides the shared one is not known: {strange:?}");
    postgres.restart();
    let found = loop {
        match catalog.version(&app(), KEY, &one).await {
            Ok(found) => break found,
            Err(CatalogError::Archive(_)) => {}
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(found.hash, one);
}

#[tokio::test]
async fn a_version_that_is_nowhere_is_told_from_one_that_cannot_be_read_now() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let catalog = start(&redis, &sqlite(dir.path()).await, None).await;
    let gone = catalog.version(&app(), KEY, &"0".repeat(64)).await;
    assert!(matches!(gone, Err(CatalogError::Gone { .. })), "{gone:?}");
    let bad = catalog.put(&app(), KEY, BTreeMap::from([("template.toml".to_owned(), "title".to_owned())]), true, now()).await;
    assert!(matches!(bad, Err(CatalogError::Invalid(ref findings)) if !findings.is_empty()), "{bad:?}");
    assert!(catalog.find(&app(), KEY).await.unwrap().is_none());
}

#[tokio::test]
async fn what_another_process_published_unheard_is_published_over() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let archive = sqlite(dir.path()).await;
    let catalog = start(&redis, &archive, None).await;
    let (one, two) = (publish(&catalog, "One").await, publish(&catalog, "Two").await);
    assert_eq!(catalog.live_hash(&app(), KEY).await.unwrap().unwrap(), two);
    // Another process went back to the first, and this one was not told: it may believe in the second.
    archive.release_template(&app(), KEY, Some(&one), None, now()).await.unwrap();
    assert_eq!(catalog.release(&app(), KEY, Some(&two), None, now()).await.unwrap(), 4);
    assert_eq!(archive.live_templates(&app()).await.unwrap()[KEY], two);
    // Said again, also by whoever did not hear the answer and names what was live before: it is one publication.
    assert_eq!(catalog.release(&app(), KEY, Some(&two), Some(Some(&one)), now()).await.unwrap(), 4);
    let late = catalog.release(&app(), KEY, Some(&one), Some(None), now()).await;
    assert!(matches!(late, Err(CatalogError::Conflict { live: Some(ref live) }) if *live == two), "{late:?}");
}

#[tokio::test]
async fn who_goes_away_does_not_make_room_for_more_to_compile() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let catalog = start(&redis, &sqlite(dir.path()).await, None).await;
    let mut slow = files("Slow");
    for region in 'A'..='H' {
        let content = format!("+++\ntitle = \"t\"\n+++\n{}", "{{a}} ".repeat(1_900));
        slow.insert(format!("en-A{region}/content.md"), content);
    }
    let threads = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        status.lines().find_map(|line| line.strip_prefix("Threads:")?.trim().parse::<usize>().ok()).unwrap()
    };
    let before = threads();
    for _ in 0..20 {
        let gone = tokio::time::timeout(Duration::from_millis(20), catalog.check(KEY, slow.clone())).await;
        assert!(gone.is_err(), "it takes longer than its caller waits");
    }
    assert!(threads() < before + 10, "{} threads, {before} before", threads());
}
