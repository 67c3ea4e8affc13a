//! The SQL side: what Stentor is on record for, and the archive of everything that happened.
//!
//! SQLite or PostgreSQL by URL. Entities are private; what leaves this crate are the words of `domain`. Every function
//! takes the app whose rows it touches.
//!
//! Events are written in batches ([`Archive::write_events`]): insert-only by id, deliveries guarded by a version, inbox
//! items by a revision, profile fields by the time that set them. Whichever fact of an item or a notification comes first
//! makes its row, which nobody reads before it is told what was written or accepted. So a batch may be written twice, and
//! batches in any order or at the same time, with the same rows in the end.

mod activity;
mod apps;
mod audit;
mod column;
mod connect;
mod deliveries;
mod entities;
mod error;
mod inbox;
mod insert;
mod items;
mod notifications;
mod operators;
mod pool;
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
pub use pool::Deadlines;
pub use search::{DeliveryCount, FoundNotifications, NotificationFilter};
pub use suppressions::{ArchivedSuppression, SuppressionFilter};
pub use template_tests::TemplateTest;
pub use templates::{Released, TemplateDraft, TemplateRelease, TemplateVersion};
pub use timeline::ArchivedReader;
pub use topics::{Stay, Topic};
pub use writer::WrittenEvents;
