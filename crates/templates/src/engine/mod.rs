//! Texts with `{{tags}}`: compiled when they are loaded, rendered within limits.

mod budget;
mod clock;
mod helpers;
mod source;
mod text;

pub(crate) use budget::Budget;
pub(crate) use clock::Clock;
pub(crate) use source::{Expanded, PARTIALS, Partials, Rules, Source};
pub(crate) use text::{Escape, SANITISED, Scope, Text, percent_encode};
