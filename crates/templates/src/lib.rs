//! Loads, checks and renders the shared templates for every channel and locale.
mod limits; mod locale; mod syntax; mod error; mod engine; mod markdown; mod sanitize; mod plain; mod sms;
