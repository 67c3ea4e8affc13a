//! The SQL schema, as migrations: one file a step, never changed once it was released.
//!
//! Times are BIGINT milliseconds since the Unix epoch, JSON is kept as text, ids of things are UUIDs. Every table begins
//! with the app: no query leaves it out.

mod m20261123_000001_archive;
mod m20261123_000002_timeline;
mod m20261125_000003_suppressions;
mod m20261125_000004_receipts;
mod m20261125_000010_console;
mod m20261125_000011_search;
mod m20261125_000030_templates;
mod m20261126_000006_wishes;
mod m20261126_000012_audience;
mod m20261126_000013_operators;
mod m20261126_000031_template_tests;
mod m20261128_000014_early_facts;
mod m20261128_000015_archived;

use sea_orm_migration::prelude::*;

/// Every migration, in order.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261123_000001_archive::Migration),
            Box::new(m20261123_000002_timeline::Migration),
            Box::new(m20261125_000003_suppressions::Migration),
            Box::new(m20261125_000010_console::Migration),
            Box::new(m20261125_000030_templates::Migration),
            Box::new(m20261125_000011_search::Migration),
            Box::new(m20261125_000004_receipts::Migration),
            Box::new(m20261126_000012_audience::Migration),
            Box::new(m20261126_000013_operators::Migration),
            Box::new(m20261126_000006_wishes::Migration),
            Box::new(m20261126_000031_template_tests::Migration),
            Box::new(m20261128_000014_early_facts::Migration),
            Box::new(m20261128_000015_archived::Migration),
        ]
    }
}

pub use sea_orm_migration::MigratorTrait;
