//! What travels in the queues: ids and the little that a worker needs to begin, never bodies.

use serde::{Deserialize, Deserializer, Serialize, de};
use stentor_domain::{AppId, Channel, DeliveryId, Locale, NotificationId, Priority, RecipientId};
use stentor_queue::Lane;

/// Work on one notification. Written by the API; the notification itself is in the record of the job that resolves it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DispatchJob {
    pub app: AppId,
    pub notification: NotificationId,
    #[serde(default)]
    pub task: Task,
    /// Whom it is for, if they are few and the request says nothing else of them: their profiles are read along with the record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<RecipientId>,
}

/// What is to be done with a notification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Task {
    /// Resolve its audience, write items, enqueue deliveries.
    #[default]
    Dispatch,
    /// Withdraw it from inboxes and from what is not sent yet.
    Recall,
    /// Say it otherwise in inboxes, as the record of this job has it.
    Update,
    /// Tell the devices that its time is over.
    Expire,
}

/// What a worker of an outside channel is given: a test if it says `test`, else a delivery.
#[derive(Clone)]
pub(crate) enum OutsideJob {
    Delivery(DeliveryJob),
    Test(TestJob),
}

impl<'de> Deserialize<'de> for OutsideJob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By hand, since what is neither must be told by the field that it lacks: a dead letter shows it.
        let job = serde_json::Value::deserialize(deserializer)?;
        let read = if job.get("test").is_some() {
            serde_json::from_value(job).map(Self::Test)
        } else {
            serde_json::from_value(job).map(Self::Delivery)
        };
        read.map_err(de::Error::custom)
    }
}

/// Send a test by one provider. Written by the console, which reads the outcome from the job's record.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestJob {
    pub app: AppId,
    /// Which provider.
    pub provider: String,
    /// The id that the message carries.
    pub test: DeliveryId,
    /// To which address.
    pub to: String,
}

/// Send one delivery.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DeliveryJob {
    pub app: AppId,
    pub notification: NotificationId,
    pub delivery: DeliveryId,
    pub recipient: RecipientId,
    pub channel: Channel,
    /// The address that held when the notification was dispatched.
    pub to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The recipient's own fields, only where the template uses them.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub attributes: serde_json::Map<String, serde_json::Value>,
}

/// The lane of a priority.
pub(crate) fn lane(priority: Priority) -> Lane {
    match priority {
        Priority::High => Lane::High,
        Priority::Normal => Lane::Normal,
        Priority::Bulk => Lane::Bulk,
    }
}
