//! A name server of the test's own.

use serde_json::Value;

use crate::script::Script;

/// A DNS server (a Python script) that knows the TXT and MX records that it was given, and no other name.
#[derive(Debug)]
pub struct NameServer(Script);

impl NameServer {
    /// Starts a server that knows `records`: an object of names, each with a list of texts; `MX mail.example.com` is an MX record.
    pub fn start(records: &Value) -> Self {
        Self(Script::start(include_str!("scripts/name_server.py"), &[&records.to_string()], "python3"))
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.0.port())
    }
}
