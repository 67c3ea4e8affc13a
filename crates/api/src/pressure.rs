//! Back pressure: while Redis fills up, what can wait is turned away first, so that there is room for what cannot.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::InfoDict;
use stentor_connection::Connection;
use stentor_domain::Priority;
use tokio_util::sync::CancellationToken;

use crate::problem::ApiError;

/// How often it is looked how full Redis is.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// From how many percent of `maxmemory` on a priority is turned away. What is urgent is taken until Redis refuses it.
const fn limit(priority: Priority) -> u32 {
    match priority {
        Priority::Bulk => 80,
        Priority::Normal => 90,
        Priority::High => u32::MAX,
    }
}

/// How full Redis is, as this process last saw it. A cheap handle.
#[derive(Clone, Debug, Default)]
pub struct Pressure(Arc<AtomicU32>);

impl Pressure {
    /// Watches the Redis behind `conn` until `stop`.
    pub fn watch(mut conn: Connection, stop: CancellationToken) -> Self {
        let pressure = Self::default();
        let watched = pressure.clone();
        tokio::spawn(async move {
            while !stop.is_cancelled() {
                // A Redis that does not answer says so to each request; what was seen last stays.
                if let Ok(info) = redis::cmd("INFO").arg("memory").query_async::<InfoDict>(&mut conn).await {
                    watched.0.store(percent(&info), Relaxed);
                }
                tokio::select! { () = tokio::time::sleep(LOOK_EVERY) => {} () = stop.cancelled() => {} }
            }
        });
        pressure
    }

    /// Whether a notification of this priority is taken now.
    pub(crate) fn admit(&self, priority: Priority) -> Result<(), ApiError> {
        let full = self.0.load(Relaxed);
        if full < limit(priority) {
            return Ok(());
        }
        metrics::counter!("stentor_notifications_shed_total", "priority" => priority.as_str()).increment(1);
        Err(ApiError::overloaded(format!(
            "Redis is {full} % full: {} notifications have to wait; repeat later",
            priority.as_str()
        )))
    }
}

/// How much of `maxmemory` is used, in percent; 0 without a limit.
fn percent(info: &InfoDict) -> u32 {
    let number = |name| info.get::<u64>(name).unwrap_or(0);
    let percent = (number("used_memory") * 100).checked_div(number("maxmemory")).unwrap_or(0);
    u32::try_from(percent).unwrap_or(u32::MAX)
}
