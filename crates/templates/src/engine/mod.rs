//! Texts with `{{tags}}`: compiled when they are loaded, rendered within limits.

mod budget;
mod clock;
mod helpers;
mod text;

pub(crate) use budget::Budget;
pub(crate) use clock::Clock;
pub(crate) use text::{Escape, Scope, Source, Text, percent_encode};
