//! The SQL side: what Stentor is on record for, and the archive of everything that happened.
//!
//! SQLite or PostgreSQL by URL. Entities are private; what leaves this crate are the words of `domain`. Every function
//! takes the app whose rows it touches.
//!
//! Events are written in batches ([`Archive::write_events`]): insert-only by id, deliveries guarded by a version, inbox
//! items by a revision, profile fields by the time that set them. So a batch may be written twice, and batches in any
//! order, with the same rows in the end. One exception: a change of an item that is not on record yet finds no row. The
//! sweep sees that the record is behind the hot inbox and tells it again.

mod activity;
mod apps;
mod audit;
mod connect;
mod deliveries;
mod entities;
mod error;
mod inbox;
mod insert;
mod notifications;
mod operators;
mod recipients;
mod scheduled;
mod search;
mod suppressions;
mod template_tests;
mod templates;
mod timeline;
mod topics;
mod walks;
mod writer;

pub use activity::Activity;
pub use apps::{ApiKey, App, NewApp};
pub use audit::{AuditEntry, AuditFilter, DONE, Deed};
pub use connect::Archive;
pub use error::ArchiveError;
pub use inbox::{ArchivedInbox, ArchivedItem, ArchivedUnread};
pub use notifications::ArchivedNotification;
pub use operators::Operator;
pub use search::{DeliveryCount, FoundNotifications, NotificationFilter};
pub use suppressions::{ArchivedSuppression, SuppressionFilter};
pub use template_tests::TemplateTest;
pub use templates::{Released, TemplateDraft, TemplateRelease, TemplateVersion};
pub use timeline::ArchivedReader;
pub use topics::{Stay, Topic};
pub use writer::WrittenEvents;
