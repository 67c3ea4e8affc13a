//! When a failed attempt is tried again.

use std::time::Duration;

use crate::Channel;

/// The waits between attempts of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySchedule(&'static [u64]);

const HOUR: u64 = 3_600;

impl RetrySchedule {
    /// The schedule of `channel`.
    ///
    /// Redis is back within seconds or an operator is at work, so the inbox tries briefly. Mail servers ask
    /// senders to go on for days (RFC 5321 section 4.5.4.1); an SMS that is hours late mostly annoys.
    pub fn of(channel: Channel) -> Self {
        match channel {
            Channel::Inbox => Self(&[1, 5, 30]),
            Channel::Email => Self(&[5, 300, 1_800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR]),
            Channel::Sms => Self(&[5, 60, 300]),
        }
    }

    /// How many attempts there are in all.
    pub fn max_attempts(self) -> u32 {
        self.0.len() as u32 + 1
    }

    /// How long to wait after attempt number `attempt` (from 1) failed; `None` if it was the last.
    ///
    /// `jitter`, in 0..1, spreads the wait over 80 to 120 % of the schedule, so that what failed together is
    /// not tried together. A provider's `retry_after` is kept if it is longer, up to a day.
    pub fn wait(self, attempt: u32, retry_after: Option<Duration>, jitter: f64) -> Option<Duration> {
        let seconds = *self.0.get(attempt.saturating_sub(1) as usize)?;
        let spread = Duration::from_secs(seconds).mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0));
        let asked = retry_after.unwrap_or_default().min(Duration::from_hours(24));
        Some(spread.max(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_until_the_attempts_are_exhausted() {
        for channel in Channel::ALL {
            let schedule = RetrySchedule::of(channel);
            let waits: Vec<_> = (1..schedule.max_attempts()).map(|n| schedule.wait(n, None, 0.5).unwrap()).collect();
            assert!(waits.is_sorted(), "{channel}: {waits:?}");
            assert_eq!(schedule.wait(schedule.max_attempts(), None, 0.5), None);
        }
    }

    #[test]
    fn a_longer_retry_after_is_honoured_but_not_for_ever() {
        let sms = RetrySchedule::of(Channel::Sms);
        assert_eq!(sms.wait(1, Some(Duration::from_secs(90)), 0.0), Some(Duration::from_secs(90)));
        assert_eq!(sms.wait(1, Some(Duration::from_secs(1)), 0.0), Some(Duration::from_secs(4)));
        assert_eq!(sms.wait(1, Some(Duration::MAX), 0.0), Some(Duration::from_hours(24)));
    }
}
