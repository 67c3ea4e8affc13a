//! The tests of the templates, in one executable: linking is what their build takes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod inline;
mod limits;
mod lint;
mod loading;
mod properties;
mod rendering;
mod rich;
mod shipped;
mod strict;
mod support;
mod uploads;
