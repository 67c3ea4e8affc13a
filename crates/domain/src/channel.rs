//! Channels and priorities.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The medium on which a delivery reaches its recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// The inbox in the app, live over WebSocket.
    Inbox,
    /// Email over SMTP.
    Email,
    /// A text message through an HTTP gateway.
    Sms,
}

impl Channel {
    /// Every channel, in the order in which answers list them.
    pub const ALL: [Self; 3] = [Self::Inbox, Self::Email, Self::Sms];

    /// The name used in JSON, keys and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Email => "email",
            Self::Sms => "sms",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a channel: use inbox, email or sms")]
pub struct UnknownChannel;

impl FromStr for Channel {
    type Err = UnknownChannel;

    fn from_str(text: &str) -> Result<Self, UnknownChannel> {
        Self::ALL.into_iter().find(|c| c.as_str() == text).ok_or(UnknownChannel)
    }
}

/// How urgent a notification is: the lane that it takes through every queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Not delayed by anything else: codes, alarms.
    High,
    /// The default.
    #[default]
    Normal,
    /// Campaigns and digests: goes out when nothing else waits.
    Bulk,
}

impl Priority {
    /// The name used in JSON and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }
}
