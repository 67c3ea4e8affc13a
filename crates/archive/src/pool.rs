//! Connections that do not wait for ever.
//!
//! A peer may vanish without a word: its host is lost, or what stands between forgets the connection. Then nothing ends the wait for
//! an answer, neither that of a statement nor that of sqlx, which asks each connection that comes back to its pool whether it is
//! there, and keeps its place until then. So each statement has a deadline, and once one passed it, or no connection was to be had
//! for so long, *all* of them are given up and made anew: the others most likely went the same way. What is under way on one that is
//! given up goes on, or finds its own deadline.
//!
//! PostgreSQL is told the deadline as well, and breaks a statement off that takes too long: a live connection is not given up for it.

use std::{
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::Poll,
    time::{Duration, Instant},
};

use sea_orm::{
    ConnAcquireErr, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    ExecResult, QueryResult, RuntimeErr, Statement, TransactionOptions, TransactionTrait,
    entity::prelude::async_trait::async_trait,
};

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// A connection, and SQLite's write lock.
    pub connection: Duration,
    /// The answer to a statement.
    pub answer: Duration,
    /// The answer to a statement of a batch of events, on the connection [apart](crate::Archive::apart).
    pub batch: Duration,
    /// The answer to a statement that forgets what is old, which may be much.
    pub forgetting: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connection: Duration::from_secs(5),
            answer: Duration::from_secs(30),
            batch: Duration::from_mins(1),
            forgetting: Duration::from_mins(10),
        }
    }
}

/// A question that is under way. In a box, as sea-orm has most of them, so that what waits for it is one code and no large type.
type Asking<'a, T> = Pin<Box<dyn Future<Output = Result<T, DbErr>> + Send + 'a>>;

/// A cheap handle to connections.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    options: ConnectOptions,
    /// `None`: as long as it takes. SQLite has no peer that could vanish.
    deadline: Option<Duration>,
    current: RwLock<Current>,
}

#[derive(Clone)]
struct Current {
    db: DatabaseConnection,
    /// How often all connections were given up before.
    generation: u64,
    /// When these were made, or gave their last answer.
    answered: Instant,
}

impl Pool {
    /// Connects. PostgreSQL breaks a statement off after `answer`; an answer is waited for a while longer, `grace`.
    pub(crate) async fn open(mut options: ConnectOptions, answer: Option<Duration>, grace: Duration) -> Result<Self, DbErr> {
        if let Some(answer) = answer {
            options.statement_timeout(answer);
        }
        let db = connect(options.clone()).await?;
        options.connect_lazy(true); // for those that are made anew
        let deadline = answer.filter(|_| db.get_database_backend() != DbBackend::Sqlite).map(|answer| answer + grace);
        let current = RwLock::new(Current { db, generation: 0, answered: Instant::now() });
        Ok(Self(Arc::new(Shared { options, deadline, current })))
    }

    /// Begins a transaction. Each of its statements has a deadline of its own.
    pub(crate) async fn begin(&self) -> Result<Transaction, DbErr> {
        self.begin_with_options(TransactionOptions::default()).await
    }

    pub(crate) async fn begin_with_options(&self, options: TransactionOptions) -> Result<Transaction, DbErr> {
        let Current { db, generation, .. } = self.current();
        let inner = self.within_deadline(generation, db.begin_with_options(options)).await?;
        Ok(Transaction { inner, pool: self.clone(), generation })
    }

    /// Asks what only the connections themselves can be asked, within one deadline.
    pub(crate) async fn ask<T>(&self, ask: impl FnOnce(DatabaseConnection) -> Asking<'static, T>) -> Result<T, DbErr> {
        let Current { db, generation, .. } = self.current();
        self.within_deadline(generation, ask(db)).await
    }

    /// Ends all connections, once what is under way on them is over.
    pub(crate) async fn close(self) -> Result<(), DbErr> {
        self.current().db.close().await
    }

    fn current(&self) -> Current {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn within_deadline<T>(&self, generation: u64, mut ask: Asking<'_, T>) -> Result<T, DbErr> {
        let Some(deadline) = self.0.deadline else { return ask.await };
        let Ok(answer) = tokio::time::timeout(deadline, &mut ask).await else {
            // Before the statement is dropped: its connection would go back to a pool that is not closed yet, and hang there.
            self.give_up(generation).await;
            return Err(DbErr::Conn(RuntimeErr::Internal("no answer in time".to_owned())));
        };
        match &answer {
            Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)) => {
                if self.current().answered.elapsed() >= deadline {
                    self.give_up(generation).await;
                }
            }
            Err(_) => {}
            Ok(_) => self.has_answered(generation),
        }
        answer
    }

    fn has_answered(&self, generation: u64) {
        let mut current = self.0.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.generation == generation {
            current.answered = Instant::now();
        }
    }

    /// Gives all connections of a generation up; the next statement makes new ones.
    fn give_up(&self, generation: u64) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.make_anew(generation))
    }

    async fn make_anew(&self, generation: u64) {
        let Ok(db) = connect(self.0.options.clone()).await else { return };
        let old = {
            let mut current = self.0.current.write().unwrap_or_else(PoisonError::into_inner);
            if current.generation != generation {
                return; // somebody else did
            }
            let next = Current { db, generation: generation + 1, answered: Instant::now() };
            std::mem::replace(&mut *current, next).db
        };
        tracing::warn!("SQL gives no answer: all connections are made anew");
        // It is closed to newcomers at once, and to whatever comes back to it; it may never see all of its connections again.
        let mut closing = Box::pin(old.close());
        if std::future::poll_fn(|context| Poll::Ready(closing.as_mut().poll(context).is_pending())).await {
            tokio::spawn(closing);
        }
    }
}

/// One function for both places: what it calls is large.
fn connect(options: ConnectOptions) -> Asking<'static, DatabaseConnection> {
    Box::pin(Database::connect(options))
}

#[async_trait]
impl ConnectionTrait for Pool {
    fn get_database_backend(&self) -> DbBackend {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).db.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let Current { db, generation, .. } = self.current();
        self.within_deadline(generation, db.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let Current { db, generation, .. } = self.current();
        self.within_deadline(generation, db.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let Current { db, generation, .. } = self.current();
        self.within_deadline(generation, db.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let Current { db, generation, .. } = self.current();
        self.within_deadline(generation, db.query_all_raw(statement)).await
    }
}

/// A transaction, rolled back when dropped.
pub(crate) struct Transaction {
    inner: DatabaseTransaction,
    pool: Pool,
    generation: u64,
}

impl Transaction {
    pub(crate) async fn commit(self) -> Result<(), DbErr> {
        self.pool.within_deadline(self.generation, Box::pin(self.inner.commit())).await
    }

    pub(crate) async fn rollback(self) -> Result<(), DbErr> {
        self.pool.within_deadline(self.generation, Box::pin(self.inner.rollback())).await
    }
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.pool.within_deadline(self.generation, self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.pool.within_deadline(self.generation, self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.pool.within_deadline(self.generation, self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.pool.within_deadline(self.generation, self.inner.query_all_raw(statement)).await
    }
}
