//! The connection pool.

use std::{sync::Arc, time::Duration};

use sea_orm::{ConnectOptions, Database, DatabaseConnection};
use stentor_migrations::{Migrator, MigratorTrait};

use crate::ArchiveError;

/// How long a statement waits for a connection, and SQLite for its write lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long PostgreSQL lets a transaction stand open with nothing to do. Between two statements of ours lie milliseconds.
const STANDSTILL: Duration = Duration::from_secs(5);

/// A cheap handle to the archive.
#[derive(Clone)]
pub struct Archive {
    pub(crate) db: DatabaseConnection,
    url: Arc<str>,
}

impl Archive {
    /// Connects to `sqlite:FILE?mode=rwc` or `postgres://user:password@host/database`.
    ///
    /// SQLite runs in WAL mode: readers do not wait for the writer, and writers wait for one another up to 5 s.
    pub async fn connect(url: &str) -> Result<Self, ArchiveError> {
        Self::open(url.into(), options(url, SQLITE_CACHE)).await
    }

    /// The same archive over one connection of its own, which may keep more of the database than others, as a batch needs. SQLite works
    /// on a thread of its own for each connection, and that thread has the priority of the one that makes it: who calls this, and later
    /// whoever needs it after it was long idle. It also gives way again and again within a statement: Linux lets whoever runs go on for
    /// milliseconds, of whatever priority whoever wakes is.
    pub async fn apart(&self) -> Result<Self, ArchiveError> {
        let mut options = options(&self.url, ARCHIVER_CACHE);
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
        Self::open(self.url.clone(), options).await
    }

    async fn open(url: Arc<str>, options: ConnectOptions) -> Result<Self, ArchiveError> {
        Ok(Self { db: Database::connect(options).await?, url })
    }

    /// Brings the schema up to date.
    pub async fn migrate(&self) -> Result<(), ArchiveError> {
        Ok(Migrator::up(&self.db, None).await?)
    }

    /// How many migrations are not applied yet.
    pub async fn pending_migrations(&self) -> Result<usize, ArchiveError> {
        Ok(Migrator::get_pending_migrations(&self.db).await?.len())
    }

    /// Asks for a sign of life.
    pub async fn ping(&self) -> Result<(), ArchiveError> {
        Ok(self.db.ping().await?)
    }
}

/// How many instructions SQLite's machine may go on for before it gives way: some dozens of microseconds.
const UNINTERRUPTED: i32 = 500;

/// What the archiver's connection to SQLite may keep of the database, in KiB below zero. A batch touches some thousand pages: what does
/// not fit is written in the middle of it, and again at its end.
const ARCHIVER_CACHE: &str = "-32768";
/// What each other connection may keep. They read little at a time, which the system's own cache has as well: beyond this it would only
/// be kept once more for each of them.
const SQLITE_CACHE: &str = "-2048";
/// After how many pages of the log they are copied into the database. A page that changed in many batches is copied once.
const SQLITE_CHECKPOINT: &str = "8192";

fn options(url: &str, sqlite_cache: &'static str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options.sqlx_logging(false).connect_timeout(PATIENCE).acquire_timeout(PATIENCE);
    if url.starts_with("sqlite:") {
        options.max_connections(4).map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .pragma("journal_mode", "WAL")
                .pragma("synchronous", "NORMAL")
                .pragma("cache_size", sqlite_cache)
                .pragma("wal_autocheckpoint", SQLITE_CHECKPOINT)
                .busy_timeout(PATIENCE)
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
