//! Texts with `{{tags}}`: compiled when they are loaded, rendered within limits.

mod budget;
mod helpers;
mod text;

pub(crate) use text::{Escape, Scope, Source, Text, percent_encode};
