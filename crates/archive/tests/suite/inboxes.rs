//! Inboxes on record: pages, and what rebuilds a hot one.

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DbBackend, Statement};
use stentor_domain::{Event, EventKind, ItemState, item::Folder};

use crate::support::{Fixture, app, at, card, changed, id, item, on_both, other, person};

on_both! {
    pages_go_on_without_gap_or_repeat
    an_inbox_is_loaded_as_it_was
    nobody_sees_anothers
    what_was_archived_has_an_index_of_its_own
}

fn archived() -> ItemState {
    ItemState { archived_at: Some(at(9)), ..ItemState::default() }
}

/// Twenty items, of which 5 is put away, 6 has expired and 7 is read.
async fn fill(f: &Fixture) {
    let mut events: Vec<Event> = (1..=20).filter(|n| *n != 6).map(|n| item("u1", n)).collect();
    let mut expiring = card(6);
    expiring.expires_at = Some(at(100));
    let kind = EventKind::ItemWritten { recipient: person("u1"), card: Box::new(expiring), seq: 6, rev: 6, variant: "en".into() };
    events.push(Event::new(app(), at(6), kind));
    events.push(changed("u1", 5, 101, archived()));
    events.push(changed("u1", 7, 102, ItemState { read_at: Some(at(8)), ..ItemState::default() }));
    f.write(&events).await;
}

async fn pages_go_on_without_gap_or_repeat(f: Fixture) {
    fill(&f).await;
    let all_but = |gone: &[u64]| (1..=20).rev().filter(|n| !gone.contains(n)).collect::<Vec<u64>>();
    for (folder, now, expected) in
        [(Folder::Inbox, at(99), all_but(&[5])), (Folder::Inbox, at(100), all_but(&[5, 6])), (Folder::Archived, at(99), vec![5])]
    {
        for limit in [1, 3, 7, 50] {
            let (mut seqs, mut before) = (Vec::new(), None);
            loop {
                let page = f.archive.inbox_page(&app(), &person("u1"), folder, before, limit, now).await.unwrap();
                assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                before = Some(last.seq);
                seqs.extend(page.iter().map(|item| item.seq));
            }
            assert_eq!(seqs, expected, "{limit} a page");
        }
    }
    let seven = &f.archive.find_items(&app(), &person("u1"), &[id(7), id(99)]).await.unwrap();
    assert_eq!((seven.len(), seven[0].item.rev, seven[0].item.state.read_at), (1, 102, Some(at(8))));
    assert_eq!((seven[0].item.card.read().unwrap(), seven[0].variant.as_str()), (card(7), "en"));
}

async fn an_inbox_is_loaded_as_it_was(f: Fixture) {
    assert_eq!(f.archive.load_inbox(&app(), &person("u1"), at(0)).await.unwrap(), stentor_archive::ArchivedInbox::default());
    fill(&f).await;
    let inbox = f.archive.load_inbox(&app(), &person("u1"), at(100)).await.unwrap();
    assert_eq!(inbox.max_seq, Some(20));
    let unread: Vec<u64> = inbox.unread.iter().map(|item| item.seq).collect();
    assert_eq!(unread, (1..=20).rev().filter(|n| ![5, 6, 7].contains(n)).collect::<Vec<_>>());
    let items: Vec<u64> = inbox.items.iter().map(|item| item.seq).collect();
    assert_eq!(items, (1..=20).rev().filter(|n| *n != 6).collect::<Vec<_>>(), "archived ones among them");

    f.write(&(21..=300).map(|n| item("u1", n)).collect::<Vec<_>>()).await;
    let inbox = f.archive.load_inbox(&app(), &person("u1"), at(100)).await.unwrap();
    assert_eq!((inbox.items.len(), inbox.items[0].seq, inbox.items[127].seq), (128, 300, 173));
    assert_eq!((inbox.unread.len(), inbox.max_seq), (297, Some(300)));
}

async fn nobody_sees_anothers(f: Fixture) {
    fill(&f).await;
    for (app, person) in [(app(), person("u2")), (other(), person("u1"))] {
        assert_eq!(f.archive.inbox_page(&app, &person, Folder::Inbox, None, 10, at(0)).await.unwrap(), []);
        assert_eq!(f.archive.load_inbox(&app, &person, at(0)).await.unwrap().max_seq, None);
        assert_eq!(f.archive.find_items(&app, &person, &[id(7)]).await.unwrap(), []);
    }
    // A change of another's item of the same notification changes theirs alone.
    f.write(&[changed("u2", 7, 500, archived())]).await;
    assert_eq!(f.archive.find_items(&app(), &person("u1"), &[id(7)]).await.unwrap()[0].item.rev, 102);
}

async fn what_was_archived_has_an_index_of_its_own(f: Fixture) {
    let items: Vec<Event> = (1..=2_000).map(|n| item("u1", n)).collect();
    f.write(&items).await;
    f.write(&[changed("u1", 5, 3_000, archived())]).await;
    let db = Database::connect(ConnectOptions::new(&f.database.url).max_connections(1).to_owned()).await.unwrap();
    let backend = db.get_database_backend();
    let is_sqlite = backend == DbBackend::Sqlite;
    let (analyse, explain) = if is_sqlite { ("ANALYZE", "EXPLAIN QUERY PLAN") } else { ("ANALYZE inbox_items", "EXPLAIN") };
    db.execute_unprepared(analyse).await.unwrap();
    // As `inbox_page` asks for it.
    let page = "SELECT * FROM inbox_items WHERE app = 'bank' AND recipient = 'u1' AND seq > 0 AND recalled_at IS NULL \
                AND (expires_at IS NULL OR expires_at > 1) AND archived_at IS NOT NULL AND seq < 1000 ORDER BY seq DESC LIMIT 20";
    let steps = db.query_all_raw(Statement::from_string(backend, format!("{explain} {page}"))).await.unwrap();
    let steps: Vec<String> = steps.iter().map(|step| step.try_get_by_index(if is_sqlite { 3 } else { 0 }).unwrap()).collect();
    assert!(steps.iter().any(|step| step.contains("inbox_items_archived")), "{steps:?}");
}
