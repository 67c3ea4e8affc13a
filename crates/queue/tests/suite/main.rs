//! The queue on a real redis-server, in one executable: linking is what its build takes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod adding;
mod bundle_trouble;
mod bundles;
mod claims;
mod dead_letters;
mod event_log;
mod handing_over;
mod lanes;
mod leases;
mod outcomes;
mod pace;
mod redis_silent;
mod redis_trouble;
mod stopping;
mod support;
mod watching;
