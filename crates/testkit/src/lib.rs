//! Real servers for tests: each on its own free port of the loopback, with its own data, stopped by its own process id.
//!
//! What a system package may have started by itself is never used or touched.

#![allow(clippy::missing_panics_doc, reason = "a fixture that cannot be set up ends its test: every function here may panic")]

mod certificate;
mod fault_proxy;
mod greylist;
mod kannel;
mod mail_server;
mod name_server;
mod port;
mod postfix;
mod postgres;
mod redis_server;
mod redis_topology;
mod script;
mod sms_gateway;

pub use fault_proxy::{Fault, FaultProxy};
pub use greylist::Greylist;
pub use kannel::{Kannel, KannelPlan};
pub use mail_server::{MailOptions, MailServer, MailTls, dkim_verifies, read_mail};
pub use name_server::NameServer;
pub use port::free_port;
pub use postfix::Postfix;
pub use postgres::{Held, Postgres};
pub use redis_server::RedisServer;
pub use redis_topology::{RedisCluster, RedisSentinel};
pub use sms_gateway::{Answer, SmsGateway};
