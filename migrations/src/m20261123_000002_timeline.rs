//! Topics, and the timeline of what went to them or to everyone.
//!
//! | table | holds |
//! | --- | --- |
//! | `topics` | named groups of recipients |
//! | `topic_members` | each stay of a recipient in a topic, from one revision of the timeline to another |
//! | `timeline_entries` | what went to a topic or to everyone, guarded by a revision |
//! | `timeline_marks` | entries that a recipient treated by themselves, guarded by the inbox's revision |
//! | `timeline_reads` | up to where a recipient has read the timeline |
//!
//! `recipients.joined` is the timeline's revision when a recipient was first seen (null: not known yet), `inbox_items.written_at`
//! when an item was written, `inbox_items.recalled_at` and `notifications.recalled_at` when they were withdrawn.
//! `notifications.version` and `contents.version` grow when a notification is said otherwise.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, integer, string_len, string_len_null, string_null, text, uuid},
};

use crate::m20261123_000001_archive::{index, key, table, time, time_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

fn add(table: &'static str, column: ColumnDef) -> TableAlterStatement {
    Table::alter().table(table).add_column(column).to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = [
            table("topics")
                .col(string_len("app", 64))
                .col(string_len("id", 128))
                .col(string_null("name"))
                .col(time("created_at"))
                .primary_key(&mut key(&["app", "id"]))
                .to_owned(),
            table("topic_members")
                .col(string_len("app", 64))
                .col(string_len("topic", 128))
                .col(string_len("recipient", 128))
                .col(integer("stay"))
                .col(big_integer("joined"))
                .col(big_integer_null("left"))
                .primary_key(&mut key(&["app", "topic", "recipient", "stay"]))
                .to_owned(),
            table("timeline_entries")
                .col(string_len("app", 64))
                .col(big_integer("seq"))
                .col(big_integer("rev"))
                .col(uuid("notification"))
                .col(time("written_at"))
                .col(string_len_null("gone", 16))
                .col(text("body"))
                .primary_key(&mut key(&["app", "seq"]))
                .to_owned(),
            table("timeline_marks")
                .col(string_len("app", 64))
                .col(string_len("recipient", 128))
                .col(big_integer("seq"))
                .col(big_integer("rev"))
                .col(uuid("notification"))
                .col(time_null("seen_at"))
                .col(time_null("read_at"))
                .col(time_null("archived_at"))
                .primary_key(&mut key(&["app", "recipient", "seq"]))
                .to_owned(),
            table("timeline_reads")
                .col(string_len("app", 64))
                .col(string_len("recipient", 128))
                .col(big_integer("seq"))
                .col(time("read_at"))
                .col(big_integer("rev"))
                .primary_key(&mut key(&["app", "recipient"]))
                .to_owned(),
        ];
        for table in tables {
            manager.create_table(table).await?;
        }
        manager.create_index(index("topic_members_recipient", "topic_members", &["app", "recipient"])).await?;
        let columns = [
            add("recipients", big_integer_null("joined")),
            add("inbox_items", big_integer("written_at").default(0).to_owned()),
            add("inbox_items", time_null("recalled_at")),
            add("notifications", time_null("recalled_at")),
            add("notifications", big_integer("version").default(0).to_owned()),
            add("contents", big_integer("version").default(0).to_owned()),
        ];
        for column in columns {
            manager.alter_table(column).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["timeline_reads", "timeline_marks", "timeline_entries", "topic_members", "topics"] {
            manager.drop_table(Table::drop().table(table).if_exists().to_owned()).await?;
        }
        let columns = [
            ("contents", "version"),
            ("notifications", "version"),
            ("notifications", "recalled_at"),
            ("inbox_items", "recalled_at"),
            ("inbox_items", "written_at"),
            ("recipients", "joined"),
        ];
        for (table, column) in columns {
            manager.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
