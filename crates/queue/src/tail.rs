//! Looking at facts as they come, without a group: for those who only watch.

use std::time::Duration;

use stentor_connection::Connection;

use super::events::{EventLog, Read, events};
use crate::{QueueError, millis};

/// Reads an event log from now on. What was read is remembered by nobody: what is trimmed before it is read is missed.
pub struct EventTail {
    log: EventLog,
    reader: Connection,
    last: Option<String>,
}

impl EventLog {
    /// A tail of the log. `reader` blocks and is the tail's own.
    pub fn tail(&self, reader: Connection) -> EventTail {
        EventTail { log: self.clone(), reader, last: None }
    }
}

impl EventTail {
    /// The same from `place` on, or from the beginning of a log that was empty.
    #[must_use]
    pub fn after(self, place: Option<&str>) -> Self {
        Self { last: Some(place.unwrap_or("0-0").to_owned()), ..self }
    }

    /// The events of the next entries, at most `max` of these, for the first of which this waits up to `block`.
    pub async fn next_batch(&mut self, max: usize, block: Duration) -> Result<Vec<Vec<u8>>, QueueError> {
        let read: Read = redis::cmd("XREAD")
            .arg("COUNT")
            .arg(max)
            .arg("BLOCK")
            .arg(millis(block))
            .arg("STREAMS")
            .arg(self.log.key())
            .arg(self.place().await?)
            .query_async(&mut self.reader)
            .await?;
        let read: Vec<_> = read.into_iter().flatten().flat_map(|(_, entries)| entries).flat_map(events).collect();
        if let Some((place, _)) = read.last() {
            self.last = Some(place.clone());
        }
        Ok(read.into_iter().map(|(_, json)| json).collect())
    }

    /// Where to go on. `$` would pass over what comes between two reads, so the end is looked up once.
    async fn place(&mut self) -> Result<String, QueueError> {
        if let Some(last) = &self.last {
            return Ok(last.clone());
        }
        let newest = self.log.newest(1).await?;
        let place = newest.into_iter().next_back().map_or_else(|| "0-0".to_owned(), |(place, _)| place);
        self.last = Some(place.clone());
        Ok(place)
    }
}
