//! Writing facts to the events stream.

use stentor_domain::{Event, EventKind};
use stentor_queue::{EventLog, QueueError};

/// Where facts are written.
#[derive(Clone)]
pub(crate) struct Facts(EventLog);

impl Facts {
    pub(crate) fn new(log: EventLog) -> Self {
        Self(log)
    }

    /// Writes the facts that wait, and empties `events`. If that fails they stay.
    pub(crate) async fn flush(&self, events: &mut Vec<Event>) -> Result<(), QueueError> {
        self.write(events).await?;
        events.clear();
        Ok(())
    }

    /// Writes facts in one round trip.
    pub(crate) async fn write(&self, events: &[Event]) -> Result<(), QueueError> {
        if events.is_empty() {
            return Ok(());
        }
        let mut encoded = Vec::with_capacity(events.len());
        for event in events {
            if let EventKind::Delivery(report) = &event.kind {
                let (channel, state) = (report.channel.as_str(), report.state.as_str());
                metrics::counter!("stentor_deliveries_total", "channel" => channel, "state" => state).increment(1);
            }
            match serde_json::to_vec(event) {
                Ok(json) => encoded.push(json),
                Err(error) => tracing::error!(%error, kind = event.kind.name(), "a fact cannot be written as JSON"),
            }
        }
        self.0.append(&encoded).await
    }
}
