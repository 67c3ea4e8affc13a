//! A circuit breaker: a provider that is in trouble is left alone for a while, then tried by one message at a time.
//!
//! Without it each message would hold a worker's place until the deadline, and all places would wait for one provider.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How many failures in a row open it.
const OPENS_AFTER: u32 = 5;
/// How long the provider is left alone at first; doubled with each further failure.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// How long at most, also where the provider asks for longer: the next message finds out.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// How long the others wait for the one that tries; it reports within its deadline unless its task was dropped.
const TRIAL: Duration = Duration::from_secs(30);

/// What a call says of the provider itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It works, whatever it said to this message.
    Good,
    /// It does not answer, or refuses everybody.
    Trouble,
    /// It asks to be left alone for so long.
    Asked(Duration),
}

/// The breaker of one provider in this process.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    closed_until: Option<Instant>,
}

impl Breaker {
    /// How long the provider is to be left alone yet.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        self.lock().closed_until.map(|until| until.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// Begins a call. After a pause only one may, until it has reported.
    pub(crate) fn begin(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.lock();
        match state.closed_until {
            Some(until) if until > now => Err(until - now),
            Some(_) => {
                state.closed_until = Some(now + TRIAL);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Ends a call. True if that changed whether the provider is asked at all.
    pub(crate) fn end(&self, now: Instant, health: Health) -> bool {
        let mut state = self.lock();
        let was_open = state.closed_until.is_none();
        match health {
            Health::Good => *state = State::default(),
            Health::Asked(wait) => {
                state.failures += 1;
                state.closed_until = state.closed_until.max(Some(now + wait.min(LONGEST_PAUSE)));
            }
            Health::Trouble => {
                state.failures += 1;
                if state.failures >= OPENS_AFTER {
                    let doublings = (state.failures - OPENS_AFTER).min(8);
                    state.closed_until = Some(now + (FIRST_PAUSE * (1 << doublings)).min(LONGEST_PAUSE));
                }
            }
        }
        was_open != state.closed_until.is_none()
    }

    /// How many failures in a row there were.
    pub(crate) fn failures(&self) -> u32 {
        self.lock().failures
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic between two assignments cannot leave it half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn failures_in_a_row_close_the_way_and_one_success_opens_it() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 1..OPENS_AFTER {
            breaker.end(now, Health::Trouble);
        }
        breaker.end(now, Health::Good);
        for _ in 1..OPENS_AFTER {
            assert!(!breaker.end(now, Health::Trouble));
            assert_eq!(breaker.begin(now), Ok(()));
        }
        assert!(breaker.end(now, Health::Trouble), "the fifth in a row");
        assert_eq!((breaker.begin(now), breaker.wait(now)), (Err(FIRST_PAUSE), Some(FIRST_PAUSE)));

        let later = now + FIRST_PAUSE;
        assert_eq!((breaker.wait(later), breaker.begin(later)), (None, Ok(())), "one tries");
        assert_eq!(breaker.begin(later), Err(TRIAL), "and the others wait for it");
        assert!(!breaker.end(later, Health::Trouble));
        assert_eq!(breaker.wait(later), Some(FIRST_PAUSE * 2));
        let later = later + FIRST_PAUSE * 2;
        assert_eq!(breaker.begin(later), Ok(()));
        assert!(breaker.end(later, Health::Good));
        assert_eq!((breaker.begin(later), breaker.begin(later)), (Ok(()), Ok(())));
    }

    #[test]
    fn pauses_have_a_bound_and_a_lost_trial_is_made_good() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..100 {
            breaker.end(now, Health::Trouble);
        }
        assert_eq!(breaker.wait(now), Some(LONGEST_PAUSE));
        let later = now + LONGEST_PAUSE;
        assert_eq!(breaker.begin(later), Ok(()));
        assert_eq!(breaker.begin(later + TRIAL), Ok(()), "the first never reported");
    }

    #[test]
    fn a_provider_is_left_alone_as_long_as_it_asks() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        assert!(breaker.end(now, Health::Asked(SECOND)));
        breaker.end(now, Health::Asked(SECOND / 2));
        assert_eq!(breaker.begin(now), Err(SECOND), "the longer counts");
        breaker.end(now, Health::Asked(Duration::from_hours(5)));
        assert_eq!(breaker.begin(now), Err(LONGEST_PAUSE));
    }
}
