//! Every key of this crate, named here only. The braces are Redis Cluster's hash tag: what is in them shares a slot.

use crate::Lane;

/// The keys of one queue.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    prefix: String,
    /// Streams, by lane: j -> "id payload" of a job (of a bundle "id *jobs"), and a -> how often it was tried, if it was.
    pub lanes: [String; 3],
    /// Zset of what waits for a time: "lane tries id payload" by ms.
    pub due: String,
    /// Stream of dead letters.
    pub dead: String,
    /// Hash of counted starts of suspects, by stream and entry.
    pub starts: String,
    /// Hash of how many jobs bundles have beyond their entries, by lane (0..2).
    pub bundled: String,
    /// Zset of the minutes in which idempotency keys of bundles end, by ms: each is the name of a list of these keys.
    pub remembered: String,
    /// Hash of the reapers' last sign of life.
    pub pulse: String,
    /// Hash of what workers say about themselves: "ms words" by worker.
    pub reports: String,
}

impl Keys {
    pub(crate) fn new(queue: &str) -> Self {
        let prefix = format!("stentor:{{q:{queue}}}:");
        let key = |part: &str| format!("{prefix}{part}");
        Self {
            lanes: Lane::ALL.map(|lane| key(lane.as_str())),
            due: key("due"),
            dead: key("dead"),
            starts: key("starts"),
            bundled: key("bundled"),
            remembered: key("remembered"),
            pulse: key("pulse"),
            reports: key("reports"),
            prefix,
        }
    }

    pub(crate) fn lane(&self, lane: Lane) -> &str {
        &self.lanes[lane as usize]
    }

    /// The hash that records a job.
    pub(crate) fn job(&self, id: &str) -> String {
        format!("{}job:{id}", self.prefix)
    }

    /// The hash that keeps the pace of something that workers do.
    pub(crate) fn pace(&self, what: &str) -> String {
        format!("{}pace:{what}", self.prefix)
    }

    /// The hash that counts what is used up of something in a day.
    pub(crate) fn budget(&self, what: &str) -> String {
        format!("{}budget:{what}", self.prefix)
    }

    /// The string that holds the job which `name` stands for.
    pub(crate) fn alias(&self, name: &str) -> String {
        format!("{}alias:{name}", self.prefix)
    }

    /// The string that says that something was done.
    pub(crate) fn done(&self, what: &str) -> String {
        format!("{}done:{what}", self.prefix)
    }

    /// The string that keeps what was said of something before it was known.
    pub(crate) fn held(&self, name: &str) -> String {
        format!("{}held:{name}", self.prefix)
    }

    /// The string that remembers an idempotency key: "id fingerprint". In parts: many are named in one call.
    pub(crate) fn idempotency<'a>(&'a self, key: &'a str) -> [&'a [u8]; 3] {
        [self.prefix.as_bytes(), b"idem:", key.as_bytes()]
    }
}

/// The stream of an event log.
pub(crate) fn events(log: &str) -> String {
    format!("stentor:{{events:{log}}}:log")
}
