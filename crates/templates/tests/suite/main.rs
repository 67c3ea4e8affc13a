//! The tests of the templates, in one executable: linking is what their build takes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod inline;
mod limits;
mod loading;
mod rendering;
mod shipped;
mod support;
