//! Both databases hold the same after the same, row for row.

use std::collections::HashSet;

use sea_orm::{
    ActiveValue::{NotSet, Set},
    PrimaryKeyToColumn, QueryOrder, QueryTrait, TryIntoModel,
};
use stentor_testkit::Postgres;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::{
    Archive,
    entities::{delivery, event, recipient, suppression},
    error::is_refused,
    recipients::blank_row,
};

/// What a text may hold that means something to PostgreSQL, in an array or elsewhere.
const WORDS: [&str; 12] =
    ["", " ", "NULL", "null", "{}", "{a,NULL}", "a,b", r#""quoted""#, r"back\slash", "it's $1 ?", "tab\tline\n", "é 还 🚀"];

/// An empty archive on each database.
struct Both {
    archives: [Archive; 2],
    _server: Postgres,
    _dir: TempDir,
}

impl Both {
    async fn new() -> Self {
        let (server, dir) = (Postgres::start(), tempfile::tempdir().unwrap());
        let sqlite = format!("sqlite:{}?mode=rwc", dir.path().join("stentor.db").display());
        let archives = [Archive::connect(&sqlite).await.unwrap(), Archive::connect(&server.url()).await.unwrap()];
        for archive in &archives {
            archive.migrate().await.unwrap();
        }
        Self { archives, _server: server, _dir: dir }
    }

    async fn insert_new<A: ActiveModelTrait + Send>(&self, rows: &[A]) {
        for archive in &self.archives {
            insert_new(&archive.db, rows.to_vec()).await.unwrap();
        }
    }

    async fn upsert<A: ActiveModelTrait + Send>(&self, rows: &[A], known: &OnConflict) {
        for archive in &self.archives {
            upsert(&archive.db, rows.to_vec(), known.clone()).await.unwrap();
        }
    }

    /// Fails unless each database holds these rows of the table, given in the order of their keys, and no others.
    async fn holds<A>(&self, rows: &[A])
    where
        A: ActiveModelTrait + TryIntoModel<<A::Entity as EntityTrait>::Model>,
        <A::Entity as EntityTrait>::Model: PartialEq,
    {
        let expected: Vec<_> = rows.iter().cloned().map(|row| row.try_into_model().unwrap()).collect();
        for archive in &self.archives {
            let key = <A::Entity as EntityTrait>::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column);
            let all = key.fold(A::Entity::find(), QueryOrder::order_by_asc).all(&archive.db).await.unwrap();
            assert_eq!(all, expected, "{:?}", archive.db.get_database_backend());
        }
    }

    async fn clear<E: EntityTrait>(&self) {
        for archive in &self.archives {
            E::delete_many().exec(&archive.db).await.unwrap();
        }
    }
}

fn event(n: usize, body: &str) -> event::ActiveModel {
    event::ActiveModel {
        id: Set(Uuid::from_u128(n as u128)),
        app: Set("bank".into()),
        notification: Set((n % 3 == 1).then(|| Uuid::from_u128(u128::MAX - n as u128))),
        at: Set(if n == 0 { i64::MIN } else { i64::MAX - n as i64 }),
        kind: Set("accepted".into()),
        body: Set(body.into()),
    }
}

/// With a column that is never NULL, one that always is, and several that are now and then.
fn delivery(n: usize, version: i64, reason: Option<&str>) -> delivery::ActiveModel {
    delivery::ActiveModel {
        app: Set("bank".into()),
        id: Set(Uuid::from_u128(n as u128)),
        notification: Set(Uuid::nil()),
        recipient: Set(format!("u{n}")),
        channel: Set("email".into()),
        state: Set("sent".into()),
        reason: Set(reason.map(Into::into)),
        attempts: Set(i32::MIN + n as i32),
        provider: Set(None),
        provider_message_id: Set(Some(format!("<{n}@example.com>"))),
        next_attempt_at: Set((n % 5 > 1).then_some(n as i64 - 3)),
        updated_at: Set(0),
        version: Set(version),
    }
}

#[tokio::test]
async fn what_is_written_is_read_on_both_databases() {
    let both = Both::new().await;
    let word = |n: usize| WORDS[n % WORDS.len()];
    let events: Vec<_> = (0..50).map(|n| event(n, word(n))).collect();
    let deliveries: Vec<_> = (0..50).map(|n| delivery(n, 1, (n % 2 == 0).then(|| word(n / 2)))).collect();
    let suppressions: Vec<_> = (0..50)
        .map(|n| suppression::ActiveModel {
            app: Set("bank".into()),
            id: Set(Uuid::from_u128(n as u128)),
            channel: Set("sms".into()),
            address: Set(word(n).into()),
            category: Set(String::new()),
            reason: Set("manual".into()),
            detail: Set((n % 7 == 0).then(|| "long".repeat(10_000))),
            at: Set(0),
            lifted: Set(n % 2 == 0),
        })
        .collect();
    for several in [1, 7, 50] {
        for rows in events.chunks(several) {
            both.insert_new(rows).await;
        }
        for rows in deliveries.chunks(several) {
            both.insert_new(rows).await;
        }
        for rows in suppressions.chunks(several) {
            both.insert_new(rows).await;
        }
        both.holds(&events).await;
        both.holds(&deliveries).await;
        both.holds(&suppressions).await;
        both.clear::<event::Entity>().await;
        both.clear::<delivery::Entity>().await;
        both.clear::<suppression::Entity>().await;
    }
}

#[tokio::test]
async fn known_rows_stay_or_become_what_they_are_to() {
    use delivery::Column;
    let both = Both::new().await;
    both.insert_new(&[event(1, "first"), event(3, "first")]).await;
    both.insert_new(&[event(3, "second"), event(2, "first"), event(2, "second"), event(4, "first")]).await;
    both.holds(&[event(1, "first"), event(2, "first"), event(3, "first"), event(4, "first")]).await;

    let newer = OnConflict::columns([Column::App, Column::Id])
        .update_columns([Column::Version])
        .value(Column::Reason, Expr::cust("COALESCE(excluded.reason, deliveries.reason)"))
        .value(Column::NextAttemptAt, Expr::cust("excluded.next_attempt_at"))
        .action_and_where(Expr::cust("excluded.version > deliveries.version"))
        .to_owned();
    let next = |row: delivery::ActiveModel, at| delivery::ActiveModel { next_attempt_at: Set(at), ..row };
    let known = [
        next(delivery(1, 5, Some("old")), Some(1)),
        next(delivery(2, 5, None), Some(1)),
        next(delivery(3, 5, Some("old")), None),
        next(delivery(4, 5, Some("old")), Some(1)),
    ];
    both.upsert(&known, &newer).await;
    both.holds(&known).await;
    let told = [
        next(delivery(1, 6, None), None),
        next(delivery(2, 6, Some("new")), Some(2)),
        next(delivery(3, 6, Some("new")), Some(2)),
        next(delivery(4, 5, Some("new")), None),
        next(delivery(5, 1, None), None),
    ];
    both.upsert(&told, &newer).await;
    let [_, second, third, _, fifth] = told;
    let [.., fourth] = known;
    both.holds(&[next(delivery(1, 6, Some("old")), None), second, third, fourth, fifth]).await;
}

#[tokio::test]
async fn what_no_row_sets_has_its_default() {
    let both = Both::new().await;
    let named = |id: &str| recipient::ActiveModel { app: Set("bank".into()), id: Set(id.into()), ..Default::default() };
    both.insert_new(&[named("a")]).await;
    let with_email = recipient::ActiveModel { email: Set(Some("b@example.com".into())), email_at: Set(7), ..named("b") };
    let with_joined = recipient::ActiveModel { email_at: Set(0), joined: Set(Some(3)), ..named("c") };
    both.insert_new(&[with_email, with_joined]).await;
    let whole = |id: &str, email: Option<&str>, email_at: i64, joined: Option<i64>| recipient::ActiveModel {
        email: Set(email.map(Into::into)),
        email_at: Set(email_at),
        joined: Set(joined),
        ..blank_row(&"bank".parse().unwrap(), &id.parse().unwrap())
    };
    both.holds(&[whole("a", None, 0, None), whole("b", Some("b@example.com"), 7, None), whole("c", None, 0, Some(3))]).await;
}

#[tokio::test]
async fn what_postgresql_refuses_is_told_from_trouble_of_the_moment() {
    let both = Both::new().await;
    let postgres = &both.archives[1].db;
    let long = delivery::ActiveModel { state: Set("more than 16 long".into()), ..delivery(2, 1, None) };
    let missing = event::ActiveModel { body: NotSet, ..event(2, "") };
    for error in [
        insert_new(postgres, vec![delivery(1, 1, None), long]).await.unwrap_err(),
        insert_new(postgres, vec![delivery(1, 1, None), delivery(2, 1, Some("a\0b"))]).await.unwrap_err(),
        insert_new(postgres, vec![event(1, ""), event(2, "a\0b")]).await.unwrap_err(),
        insert_new(postgres, vec![event(1, ""), missing]).await.unwrap_err(),
    ] {
        assert!(is_refused(&error), "{error:?}");
    }
    both.holds::<delivery::ActiveModel>(&[]).await;
    both.holds::<event::ActiveModel>(&[]).await;
}

#[test]
fn the_text_for_postgresql_is_one_however_many_rows_there_are() {
    let text = |n: usize| {
        let nothing = OnConflict::column(event::Column::Id).do_nothing().to_owned();
        let rows = (0..n).map(|n| event(n, "")).collect();
        let insert = inserts(rows, &nothing, DbBackend::Postgres).remove(0);
        assert_eq!(insert.values.unwrap().0.len(), 7);
        insert.sql
    };
    assert_eq!(
        text(2),
        r#"INSERT INTO "events" ("id", "app", "notification", "at", "kind", "body") "#.to_owned()
            + r#"SELECT "id", "app", (CASE WHEN ("has notification") THEN "notification" END), "at", "kind", "body" "#
            + r#"FROM (SELECT UNNEST($1) AS "id", UNNEST($2) AS "app", UNNEST($3) AS "has notification", "#
            + r#"UNNEST($4) AS "notification", UNNEST($5) AS "at", UNNEST($6) AS "kind", UNNEST($7) AS "body") AS "columns" "#
            + r#"ON CONFLICT ("id") DO NOTHING"#
    );
    assert_eq!(text(ROWS), text(2));
}

#[test]
fn the_text_for_sqlite_is_that_of_sea_orm() {
    let named = |id: &str| recipient::ActiveModel { app: Set("bank".into()), id: Set(id.into()), ..Default::default() };
    let rows = vec![named("a"), recipient::ActiveModel { email: Set(None), joined: Set(Some(3)), ..named("b") }];
    let nothing = OnConflict::columns([recipient::Column::App, recipient::Column::Id]).do_nothing().to_owned();
    let ours = &inserts(rows.clone(), &nothing, DbBackend::Sqlite)[0];
    assert_eq!(*ours, recipient::Entity::insert_many(rows).on_conflict_do_nothing().build(DbBackend::Sqlite));
}

#[test]
fn on_sqlite_any_number_of_rows_makes_few_texts() {
    let newer = OnConflict::columns([event::Column::Id])
        .update_column(event::Column::Body)
        .action_and_where(Expr::cust_with_values(
            "excluded.at > ? AND events.kind = ?",
            [Value::from(5), Value::from("( ?, ? )")],
        ))
        .to_owned();
    let mut texts = HashSet::new();
    for many in (0..300).chain([1_000, ROWS, ROWS + 1]) {
        let rows: Vec<_> = (0..many).map(|n| event(n, "(?, ?)")).collect();
        let inserts = inserts(rows.clone(), &newer, DbBackend::Sqlite);
        let whole: Vec<_> = inserts.iter().map(|insert| insert.sql.matches("(?, ?, ?, ?, ?, ?)").count()).collect();
        assert_eq!(whole.iter().sum::<usize>(), many);
        let values = inserts.iter().zip(whole).map(|(insert, rows)| (&insert.values.as_ref().unwrap().0, rows));
        let ids = values.flat_map(|(values, rows)| {
            assert_eq!(values[rows * 6..], [Value::from(5), Value::from("( ?, ? )")], "what stands behind the rows stays there");
            values[..rows * 6].chunks(6).map(|row| row[0].clone())
        });
        assert!(ids.eq(rows.into_iter().map(|row| Value::from(row.id.unwrap()))), "each row once, in their order");
        texts.extend(inserts.into_iter().map(|insert| insert.sql));
    }
    assert_eq!(texts.len(), 9, "of 1, 2, 4 and so on to 256 rows");
}

#[test]
fn groups_hold_everything_in_order_and_none_is_too_large() {
    let all: Vec<usize> = (0..=2 * ROWS).collect();
    assert_eq!(groups(all.clone()).map(|group| group.len()).collect::<Vec<_>>(), [ROWS, ROWS, 1]);
    assert_eq!(groups(all.clone()).flatten().collect::<Vec<_>>(), all);
    assert_eq!(groups(Vec::<u8>::new()).count(), 0);
}
