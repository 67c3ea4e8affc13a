//! The SQL schema, as migrations.
