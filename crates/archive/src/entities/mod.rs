//! The rows, one file a table. They never leave this crate.
#![allow(unreachable_pub, missing_docs, reason = "sea-orm's derives ask for `pub`; the migration documents the tables")]

pub(crate) mod activity;
pub(crate) mod api_key;
pub(crate) mod app;
pub(crate) mod audit;
pub(crate) mod buried_event;
pub(crate) mod content;
pub(crate) mod delivery;
pub(crate) mod dispatch;
pub(crate) mod event;
pub(crate) mod event_subject;
pub(crate) mod inbox_item;
pub(crate) mod notification;
pub(crate) mod operator;
pub(crate) mod recipient;
pub(crate) mod scheduled;
pub(crate) mod suppression;
pub(crate) mod template;
pub(crate) mod template_release;
pub(crate) mod template_test;
pub(crate) mod template_version;
pub(crate) mod timeline_entry;
pub(crate) mod timeline_mark;
pub(crate) mod timeline_read;
pub(crate) mod topic;
pub(crate) mod topic_member;
