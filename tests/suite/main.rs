//! End-to-end tests: the real binary on real servers. One executable: linking is what their build takes.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails by panicking, and shows the server's log if asked"
)]

mod attachments;
mod authoring;
mod back_pressure;
mod bad_input;
mod batches;
mod broadcast;
mod command_line;
mod console;
mod console_lists;
mod console_trouble;
mod crowds;
mod dead_letters;
mod deeds;
mod deep_inbox;
mod doctor;
mod dry_run;
mod half_gone;
mod idempotency;
mod in_doubt;
mod invalid_addresses;
mod kannel;
mod kill_nine;
mod large_audience;
mod lost_tail;
mod mail_events;
mod mail_headers;
mod mail_images;
mod mail_loop;
mod mail_pool;
mod main_job;
mod manners;
mod model;
mod one_person;
mod operations;
mod operator;
mod opt_out;
mod outages;
mod own_inbox;
mod providers;
mod recall;
mod receipts;
mod retries;
mod rich_content;
mod slow_reader;
mod spam_filter;
mod suppressions;
mod template_commands;
mod template_mistakes;
mod topic_joins;
mod topologies;
mod unsubscribe;
mod without_websocket;
