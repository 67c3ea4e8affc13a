//! What workers say about themselves: each its last word, forgotten soon after it fell silent.

use std::collections::HashMap;

use crate::{Queue, QueueError, scripts};

/// How long a report counts: three that are missed in a row.
const COUNTS_MS: i64 = 15_000;

impl Queue {
    /// Says `words` for `worker`, a name that no other process has.
    pub async fn report(&self, worker: &str, words: &[u8]) -> Result<(), QueueError> {
        let mut call = scripts::REPORT.key(&self.keys.reports);
        call.arg(worker).arg(words).arg(COUNTS_MS);
        Ok(call.invoke_async::<()>(&mut self.connection()).await?)
    }

    /// What each worker said last, if that was in the last 15 seconds of Redis's clock; by their names.
    pub async fn reports(&self) -> Result<Vec<(String, Vec<u8>)>, QueueError> {
        let mut pipe = redis::pipe();
        pipe.cmd("TIME").cmd("HGETALL").arg(&self.keys.reports);
        let ((seconds, micros), words): ((i64, i64), HashMap<String, Vec<u8>>) = pipe.query_async(&mut self.connection()).await?;
        let oldest = seconds * 1_000 + micros / 1_000 - COUNTS_MS;
        let fresh = |(worker, said): (String, Vec<u8>)| {
            let mut parts = said.splitn(2, |b| *b == b' ');
            let at: i64 = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
            (at >= oldest).then(|| (worker, parts.next().unwrap_or_default().to_vec()))
        };
        let mut reports: Vec<_> = words.into_iter().filter_map(fresh).collect();
        reports.sort();
        Ok(reports)
    }
}
