//! `make bench-inner`: what the inner loops cost by themselves, beside the least that could do the same work. Criterion measures;
//! a table of ratios stands at the end.
//!
//! `make bench` tells what Stentor costs as a whole. This is for whoever changes one of its loops: an argument chooses those whose name
//! holds it (`ARGS=frames`), and Criterion says what changed since the time before. Ours is called by its public face alone.
#![allow(clippy::print_stdout, reason = "it is a report")]

mod beside;
mod bounces;
mod calls;
mod dispatch;
mod frames;
mod pushes;
mod requests;
mod sms;
mod templates;
#[path = "../../src/floors/templates.rs"]
mod templates_floor;

fn main() {
    let mut bench = beside::Bench::new();
    calls::measure(&mut bench);
    requests::measure(&mut bench);
    dispatch::measure(&mut bench);
    pushes::measure(&mut bench);
    frames::measure(&mut bench);
    templates::measure(&mut bench);
    sms::measure(&mut bench);
    bounces::measure(&mut bench);
    bench.end();
}
