//! What can go wrong with the archive.

use sea_orm::{DbErr, RuntimeErr, SqlxError};

/// SQL could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The database does not answer, or refused.
    #[error("SQL does not answer")]
    Database(#[from] DbErr),
    /// A row holds something that this version cannot read.
    #[error("a row of {table} cannot be read: {message}")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        message: String,
    },
}

impl ArchiveError {
    pub(crate) fn unreadable(table: &'static str, error: impl std::fmt::Display) -> Self {
        Self::Unreadable { table, message: error.to_string() }
    }
}

/// True if a statement was refused for what it holds: writing it again would fail again. All else (a connection that is
/// lost, a full disk, a server that shuts down) is trouble of the moment.
pub(crate) fn is_refused(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error else { return false };
    match &**error {
        SqlxError::Database(database) => {
            let code = database.code().unwrap_or_default();
            match code.len() {
                // PostgreSQL: data exception, integrity constraint, syntax or access rule, program limit (SQLSTATE classes)
                5 => ["22", "23", "42", "54"].iter().any(|class| code.starts_with(class)),
                // SQLite: too big, constraint, mismatch (the low byte of the extended result code)
                _ => code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 18..=20)),
            }
        }
        SqlxError::Encode(_) => true,
        _ => false,
    }
}
