//! Real servers for tests: each on its own free port of the loopback, with its own data, stopped by its own process id.
//!
//! What a system package may have started by itself is never used or touched.

mod port;
mod redis_server;

pub use port::free_port;
pub use redis_server::RedisServer;
