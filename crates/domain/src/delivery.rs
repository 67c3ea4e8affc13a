//! The state machine of a delivery: every state, and every step from one to another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Channel, DeliveryId, NotificationId, RecipientId, Timestamp};

/// Where a delivery stands. What the recipient does with it (seen, read, archived) is a matter of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It waits for a time: `send_at`, or the next attempt.
    Scheduled,
    /// It waits in a queue for a worker.
    Queued,
    /// A provider is being called.
    Sending,
    /// The provider, or the inbox, took it.
    Sent,
    /// It reached the recipient: a receipt came, or a device showed it.
    Delivered,
    /// It was refused for good, or the attempts are exhausted.
    Failed,
    /// It may have been sent: the answer was lost. It is not repeated.
    Unknown,
    /// It was taken and later returned.
    Bounced,
    /// It was decided not to send it; the reason says why.
    Skipped,
    /// It was withdrawn before it was sent.
    Cancelled,
    /// Its time ran out before it was sent.
    Expired,
}

use DeliveryState::{Bounced, Cancelled, Delivered, Expired, Failed, Queued, Scheduled, Sending, Sent, Skipped, Unknown};

impl DeliveryState {
    /// Every state, in the order of the list in the documentation.
    pub const ALL: [Self; 11] =
        [Scheduled, Queued, Sending, Sent, Delivered, Failed, Unknown, Bounced, Skipped, Cancelled, Expired];

    /// The name used in JSON, SQL and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheduled => "scheduled",
            Queued => "queued",
            Sending => "sending",
            Sent => "sent",
            Delivered => "delivered",
            Failed => "failed",
            Unknown => "unknown",
            Bounced => "bounced",
            Skipped => "skipped",
            Cancelled => "cancelled",
            Expired => "expired",
        }
    }

    /// The states that may follow this one.
    ///
    /// A delivery that ended may still learn more: a receipt settles `sent` and `unknown`, a bounce follows
    /// `sent` and `delivered`. `failed` goes back to `queued` only by the replay of a dead letter.
    pub fn next(self) -> &'static [Self] {
        match self {
            Scheduled => &[Queued, Sending, Skipped, Cancelled, Expired, Failed],
            Queued => &[Scheduled, Sending, Sent, Skipped, Cancelled, Expired, Failed],
            Sending => &[Scheduled, Queued, Sent, Delivered, Failed, Unknown, Bounced],
            Sent => &[Delivered, Failed, Bounced],
            Unknown => &[Sent, Delivered, Failed, Bounced],
            Delivered => &[Bounced],
            Failed => &[Queued],
            Bounced | Skipped | Cancelled | Expired => &[],
        }
    }

    /// Whether `to` may follow this state.
    pub fn can_become(self, to: Self) -> bool {
        self.next().contains(&to)
    }

    /// True if no worker has anything left to do for a delivery in this state.
    pub fn is_final(self) -> bool {
        !matches!(self, Scheduled | Queued | Sending)
    }

    /// How far along the state is within one attempt, for telling an early report from a late one.
    fn rank(self) -> u32 {
        match self {
            Queued => 0,
            Sending => 1,
            Scheduled => 2, // a retry is scheduled after its attempt
            Unknown => 3,
            Sent | Skipped | Cancelled | Expired => 4,
            Delivered => 5,
            Failed => 6,
            Bounced => 7,
        }
    }

    /// A number that grows with each step of a delivery: of two reports the one with the higher version is the newer.
    ///
    /// `attempt` counts from 1; 0 is before the first.
    pub fn version(self, attempt: u32) -> u32 {
        attempt.saturating_mul(8).saturating_add(self.rank())
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a delivery state")]
pub struct UnknownState;

impl FromStr for DeliveryState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or(UnknownState)
    }
}

/// Why a delivery was not sent though nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// The recipient does not want this category on this channel.
    Preference,
    /// The recipient has no address for this channel.
    NoAddress,
    /// What the request gave as the address for this channel is none.
    InvalidAddress,
    /// As much was sent today as the operator allows.
    Throttled,
    /// The address is not to be written to: it bounced, complained or was unsubscribed.
    Suppressed,
}

impl SkipReason {
    /// The name used in JSON, SQL and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preference => "preference",
            Self::NoAddress => "no_address",
            Self::InvalidAddress => "invalid_address",
            Self::Throttled => "throttled",
            Self::Suppressed => "suppressed",
        }
    }
}

/// A delivery as it is reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub id: DeliveryId,
    /// The notification that it delivers.
    #[schema(value_type = String, format = Uuid)]
    pub notification_id: NotificationId,
    /// To whom.
    #[schema(value_type = String)]
    pub recipient: RecipientId,
    /// On which channel.
    pub channel: Channel,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why, if it was skipped, failed or is to be tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Attempts begun.
    pub attempts: u32,
    /// The provider that was called last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The provider's own id of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_message_id: Option<String>,
    /// When it will be tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt_at: Option<Timestamp>,
    /// When this was reported.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_state_is_read_back_from_its_name() {
        for state in DeliveryState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("{:?}", state.as_str()));
        }
    }

    #[test]
    fn every_end_is_reached_and_none_is_left_for_another_attempt_but_by_replay() {
        for from in DeliveryState::ALL.into_iter().filter(|s| s.is_final()) {
            let back: Vec<_> = from.next().iter().filter(|to| !to.is_final()).collect();
            assert!(back.is_empty() || (from == Failed && back == [&Queued]), "{from} -> {back:?}");
        }
        for to in DeliveryState::ALL {
            assert!(to == Scheduled || DeliveryState::ALL.iter().any(|from| from.can_become(to)), "{to} is never reached");
        }
    }

    proptest! {
        /// Reports come late, twice and in any order: whoever keeps the one with the highest version knows the last step.
        #[test]
        fn the_last_step_of_any_life_is_known_whatever_the_order_of_its_reports(
            choices in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
            order in prop::collection::vec(any::<prop::sample::Index>(), 1..80),
        ) {
            let (mut state, mut attempt) = (Queued, 0);
            let mut reports = vec![(state, attempt)];
            for choice in choices {
                // `queued` is reported once, at the beginning.
                let next: Vec<_> = state.next().iter().filter(|to| **to != Queued).collect();
                if next.is_empty() {
                    break;
                }
                state = *next[choice.index(next.len())];
                attempt += u32::from(state == Sending);
                reports.push((state, attempt));
            }
            let last = *reports.last().unwrap();
            prop_assert!(reports.is_sorted_by_key(|(state, attempt)| state.version(*attempt)), "{:?}", reports);
            let mut kept = reports[order[0].index(reports.len())];
            for report in order.iter().map(|at| reports[at.index(reports.len())]).chain(reports.iter().rev().copied()) {
                if report.0.version(report.1) > kept.0.version(kept.1) {
                    kept = report;
                }
            }
            prop_assert_eq!(kept, last);
        }
    }

    #[test]
    fn within_an_attempt_a_later_step_has_a_higher_version() {
        for from in DeliveryState::ALL {
            for to in from.next().iter().filter(|to| to.is_final()) {
                assert!(to.version(1) > from.version(1), "{from} -> {to}");
            }
        }
        assert!(Sending.version(2) > Failed.version(1));
        assert!(Queued.version(1) > Bounced.version(0));
    }
}
