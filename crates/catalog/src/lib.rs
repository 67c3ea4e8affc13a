//! The catalog: which words an app says today, and which it said when a notification was accepted.
//!
//! **Shared** templates ship with the program or lie in `templates.dir`. An app may publish templates of its own over HTTP; one
//! with the key of a shared one hides it. A **version** is a set of files, named by their hash, and never changes. **Live** is a
//! pointer to one version; publishing and rolling back move it.
//!
//! A version holds everything that it is made of, the layout and the partials too: a notification that was accepted with it is
//! written with exactly it, by whatever process and however much later. SQL is the record of all versions, shared ones as well, so
//! that a worker of another build finds those of this one. What is compiled is kept in memory, within a bound.
//!
//! Live pointers are kept in memory for 10 seconds, and dropped at once when another process moves one (a message on
//! `stentor:templates`). With SQL down, those that are known stay true, and what is not known is an error: no guess.

mod catalog;
mod checked;
mod compiled;
mod diff;
mod error;
mod files;
mod folder;
mod live;
mod names;
mod saying;
mod shared;
mod watch;

pub use catalog::{Catalog, Listed, Put};
pub use checked::{Checked, Finding, Severity, check};
pub use compiled::{Origin, Version};
pub use diff::{Change, FileDiff, diff};
pub use error::CatalogError;
pub use files::{Files, MAX_FILES, MAX_TOTAL, is_shared_file, normalised, verify};
pub use folder::{Folder, placed};
pub use saying::{Reader, Words};
pub use shared::SharedTemplates;
