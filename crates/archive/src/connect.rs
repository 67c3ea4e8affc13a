//! Connecting, and the schema.

use std::{sync::Arc, time::Duration};

use sea_orm::{ConnectOptions, ConnectionTrait, DbBackend, DbErr};
use stentor_migrations::{Migrator, MigratorTrait};

use crate::{
    ArchiveError,
    pool::{Deadlines, Pool},
};

/// How long PostgreSQL lets a transaction stand open with nothing to do. Between two statements of ours lie milliseconds.
const STANDSTILL: Duration = Duration::from_secs(5);

/// A cheap handle to the archive.
#[derive(Clone)]
pub struct Archive {
    pub(crate) db: Pool,
    url: Arc<str>,
    deadlines: Deadlines,
}

impl Archive {
    /// Connects to `sqlite:FILE?mode=rwc` or `postgres://user:password@host/database`.
    ///
    /// SQLite runs in WAL mode: readers do not wait for the writer, and writers wait for one another up to 5 s.
    pub async fn connect(url: &str) -> Result<Self, ArchiveError> {
        Self::connect_within(url, Deadlines::default()).await
    }

    /// Connects as [`connect`](Self::connect) does, with other deadlines.
    pub async fn connect_within(url: &str, deadlines: Deadlines) -> Result<Self, ArchiveError> {
        Self::open(url.into(), options(url, READING, deadlines), Some(deadlines.answer), deadlines).await
    }

    /// The same archive over one connection of its own, which may keep more of the database than others, as a batch needs. SQLite works
    /// on a thread of its own for each connection, and that thread has the priority of the one that makes it: who calls this, and later
    /// whoever needs it after it was long idle. It also gives way again and again within a statement: Linux lets whoever runs go on for
    /// milliseconds, of whatever priority whoever wakes is.
    pub async fn apart(&self) -> Result<Self, ArchiveError> {
        let mut options = options(&self.url, WRITING_BATCHES, self.deadlines);
        options.min_connections(0).max_connections(1).connect_lazy(true);
        options.map_sqlx_sqlite_pool_opts(|pool| {
            pool.after_connect(|connection, _| {
                Box::pin(async move {
                    let give_way = || {
                        std::thread::yield_now();
                        true
                    };
                    connection.lock_handle().await?.set_progress_handler(UNINTERRUPTED, give_way);
                    Ok(())
                })
            })
        });
        Self::open(self.url.clone(), options, Some(self.deadlines.batch), self.deadlines).await
    }

    async fn open(
        url: Arc<str>,
        options: ConnectOptions,
        answer: Option<Duration>,
        deadlines: Deadlines,
    ) -> Result<Self, ArchiveError> {
        // The wait for a connection is part of that for the answer, and PostgreSQL's word that it broke off takes its way.
        let db = Pool::open(options, answer, 2 * deadlines.connection).await?;
        Ok(Self { db, url, deadlines })
    }

    /// The same archive for what may take until `answer`, or as long as it takes. It is to be closed. SQLite breaks nothing off, so
    /// that it is as it was.
    async fn unhurried(&self, answer: Option<Duration>) -> Result<Self, ArchiveError> {
        if self.db.get_database_backend() == DbBackend::Sqlite {
            return Ok(self.clone());
        }
        let mut options = options(&self.url, READING, self.deadlines);
        options.max_connections(1);
        Self::open(self.url.clone(), options, answer, self.deadlines).await
    }

    /// Ends what [`unhurried`](Self::unhurried) gave.
    async fn close(self) -> Result<(), DbErr> {
        if self.db.get_database_backend() == DbBackend::Sqlite {
            return Ok(());
        }
        self.db.close().await
    }

    /// Brings the schema up to date, however long it takes.
    pub async fn migrate(&self) -> Result<(), ArchiveError> {
        let unhurried = self.unhurried(None).await?;
        unhurried.db.ask(|db| Box::pin(async move { Migrator::up(&db, None).await })).await?;
        Ok(unhurried.close().await?)
    }

    /// How many migrations are not applied yet.
    pub async fn pending_migrations(&self) -> Result<usize, ArchiveError> {
        Ok(self.db.ask(|db| Box::pin(async move { Migrator::get_pending_migrations(&db).await })).await?.len())
    }

    /// Forgets what is old: the statements of `how` may take long.
    pub(crate) async fn forget(&self, how: impl AsyncFnOnce(&Pool) -> Result<u64, DbErr>) -> Result<u64, ArchiveError> {
        let unhurried = self.unhurried(Some(self.deadlines.forgetting)).await?;
        let forgotten = how(&unhurried.db).await?;
        unhurried.close().await?;
        Ok(forgotten)
    }

    /// Asks for a sign of life.
    pub async fn ping(&self) -> Result<(), ArchiveError> {
        Ok(self.db.ask(|db| Box::pin(async move { db.ping().await })).await?)
    }
}

/// How many instructions SQLite's machine may go on for before it gives way: some dozens of microseconds.
const UNINTERRUPTED: i32 = 500;

/// What a connection to SQLite keeps in memory.
#[derive(Clone, Copy)]
struct Keeps {
    pragmas: &'static [(&'static str, &'static str)],
    /// So many statements, prepared.
    statements: usize,
}

/// The archiver's. A batch touches some thousand pages: what does not fit in 32 MiB is written in the middle of it, and again at its end.
/// What a statement changes is kept aside until it is whole, beyond 64 KiB in a file, if not in memory. The statements are those that
/// write rows into each table, in each of 9 numbers, and then some.
const WRITING_BATCHES: Keeps = Keeps { pragmas: &[("cache_size", "-32768"), ("temp_store", "MEMORY")], statements: 256 };
/// Each other's. They read little at a time, which the system's own cache has as well: beyond 2 MiB it would only be kept once more for
/// each of them.
const READING: Keeps = Keeps { pragmas: &[("cache_size", "-2048")], statements: 100 };
/// After how many pages of the log they are copied into the database. A page that changed in many batches is copied once.
const SQLITE_CHECKPOINT: &str = "8192";

fn options(url: &str, keeps: Keeps, Deadlines { connection, .. }: Deadlines) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options.sqlx_logging(false).connect_timeout(connection).acquire_timeout(connection);
    if url.starts_with("sqlite:") {
        options.max_connections(4).map_sqlx_sqlite_opts(move |sqlite| {
            let sqlite = keeps.pragmas.iter().fold(sqlite, |sqlite, (name, value)| sqlite.pragma(*name, *value));
            sqlite
                .pragma("journal_mode", "WAL")
                .pragma("synchronous", "NORMAL")
                .pragma("wal_autocheckpoint", SQLITE_CHECKPOINT)
                .statement_cache_capacity(keeps.statements)
                .busy_timeout(connection)
                .foreign_keys(true)
        });
    } else {
        options.max_connections(16).min_connections(1).map_sqlx_postgres_opts(|postgres| {
            // A process that is stopped in the middle of a batch would otherwise hold its row locks as long as it
            // stands still, and with them every other archiver.
            postgres.options([("idle_in_transaction_session_timeout", STANDSTILL.as_millis().to_string())])
        });
    }
    options
}

#[cfg(test)]
mod tests {
    use sea_orm::Statement;

    use super::*;

    async fn ask(archive: &Archive, pragma: &str) -> Vec<String> {
        let rows = archive.db.query_all_raw(Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {pragma}"))).await.unwrap();
        let text =
            |row: sea_orm::QueryResult| row.try_get_by_index(0).or_else(|_| row.try_get_by_index(0).map(|n: i64| n.to_string()));
        rows.into_iter().map(|row| text(row).unwrap()).collect()
    }

    #[tokio::test]
    async fn sqlite_is_built_and_set_as_is_written_here_and_in_the_configuration_of_cargo() {
        let dir = tempfile::tempdir().unwrap();
        let archive = Archive::connect(&format!("sqlite:{}?mode=rwc", dir.path().join("stentor.db").display())).await.unwrap();
        let apart = archive.apart().await.unwrap();
        let built = ask(&archive, "compile_options").await;
        assert!(built.contains(&"DEFAULT_MEMSTATUS=0".to_owned()), "{built:?}");
        for without in ["ENABLE_FTS5", "ENABLE_RTREE", "ENABLE_LOAD_EXTENSION", "ENABLE_MEMORY_MANAGEMENT"] {
            assert!(!built.iter().any(|option| option.starts_with(without)), "{without}");
        }
        for (pragma, of_others, of_batches) in
            [("temp_store", "0", "2"), ("cache_size", "-2048", "-32768"), ("synchronous", "1", "1")]
        {
            assert_eq!(
                (ask(&archive, pragma).await, ask(&apart, pragma).await),
                (vec![of_others.into()], vec![of_batches.into()])
            );
        }
    }
}
