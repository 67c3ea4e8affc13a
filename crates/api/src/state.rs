//! What every handler shares.

use std::{
    collections::HashMap,
    ops::Deref,
    sync::{Arc, Mutex},
    time::Instant,
};

use stentor_archive::{App, Archive};
use stentor_catalog::Catalog;
use stentor_channels::{MailEvents, SmsCallbacks};
use stentor_domain::{
    AppId, Clock, Region, Timestamp, TopicId,
    opt_out::OptOutLanguages,
    sms::{SmsLimits, SmsPrices},
};
use stentor_inbox::{Ahead, Inboxes, Presences, Profiles, Suppressions};
use stentor_queue::{EventLog, Queue};
use tokio_util::sync::CancellationToken;

use crate::{
    auth::Credentials,
    console::Feed,
    pressure::Pressure,
    realtime::{Hub, Manners},
    rest::ids::Ids,
};

/// What the API is built on.
pub struct ApiParts {
    /// Where accepted notifications wait for dispatch.
    pub dispatch: Queue,
    /// The queues of the outside channels, for their depths and dead letters.
    pub outside: Vec<Queue>,
    /// Where facts are written.
    pub events: EventLog,
    /// Inboxes, hot and archived.
    pub inboxes: Inboxes,
    /// What dispatches in this process need, done ahead of them.
    pub ahead: Ahead,
    /// Hot copies of profiles.
    pub profiles: Profiles,
    /// Whom not to write to.
    pub suppressions: Suppressions,
    /// The SQL side.
    pub archive: Archive,
    /// The templates that requests may name.
    pub templates: Catalog,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Pushes to the sockets of this process.
    pub hub: Hub,
    /// Who may connect.
    pub manners: Manners,
    /// Who is connected, over all processes.
    pub presences: Presences,
    /// Reads what SMS gateways call.
    pub sms_callbacks: SmsCallbacks,
    /// Reads what providers report of mails.
    pub mail_events: MailEvents,
    /// The words by which people stop and start SMS.
    pub opt_out: OptOutLanguages,
    /// What a segment of an SMS costs.
    pub sms_prices: SmsPrices,
    /// How much is sent by SMS in a day.
    pub sms_limits: SmsLimits,
    /// Where a phone number is at home that comes without its country.
    pub sms_region: Option<Region>,
    /// How full Redis is.
    pub pressure: Pressure,
    /// A connection for health checks.
    pub redis: stentor_connection::Connection,
    /// What happens, for the console.
    pub feed: Feed,
    /// The settings in force, secrets masked, for the console.
    pub settings: serde_json::Value,
    /// When the process is to stop: streams that would never end end then.
    pub stop: CancellationToken,
    /// Renders the metrics in Prometheus's text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// A cheap handle to what every handler shares.
#[derive(Clone)]
pub struct ApiState(Arc<Shared>);

pub struct Shared {
    parts: ApiParts,
    pub(crate) credentials: Credentials,
    /// Topics that were there a moment ago.
    pub(crate) topics: Mutex<HashMap<(AppId, TopicId), Instant>>,
    /// All apps as they were a moment ago: whose a bounce is.
    pub(crate) apps: Mutex<Option<(Instant, Arc<[App]>)>>,
    /// The apps that the console saw last, for when SQL is down.
    pub(crate) seen_apps: Mutex<Vec<AppId>>,
    pub(crate) ids: Ids,
}

impl ApiState {
    /// The state over `parts`.
    pub fn new(parts: ApiParts) -> Self {
        let credentials = Credentials::new(parts.archive.clone());
        Self(Arc::new(Shared {
            parts,
            credentials,
            topics: Mutex::default(),
            apps: Mutex::default(),
            seen_apps: Mutex::default(),
            ids: Ids::default(),
        }))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Deref for ApiState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Deref for Shared {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.parts
    }
}
