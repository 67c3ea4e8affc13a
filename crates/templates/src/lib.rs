//! Loads, checks and renders the shared templates for every channel and locale.
mod limits; mod locale; mod syntax; mod error;
