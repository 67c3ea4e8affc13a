//! Whether somebody is still there at the other side of a connection: who is silent is asked.

use std::time::{Duration, Instant};

/// How long somebody may be silent before they are asked, and again; they are gone after two questions without an answer.
const PATIENCE: Duration = Duration::from_secs(25);
const QUESTIONS: u32 = 2;

/// When the other side was heard last, and how often it was asked since.
pub(crate) struct Pulse {
    heard: Instant,
    asked: u32,
}

/// What is to be done about somebody who is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Question,
    /// Nobody is there.
    End,
}

impl Pulse {
    /// Of a connection that begins. As if it had been heard a moment earlier, each another: those who came at once, after a restart
    /// say, are not asked at once for ever.
    pub(crate) fn begin(now: Instant) -> Self {
        let earlier = rand::Rng::random_range(&mut rand::rng(), Duration::ZERO..PATIENCE / 2);
        Self { heard: now.checked_sub(earlier).unwrap_or(now), asked: 0 }
    }

    /// The other side was heard.
    pub(crate) fn heard(&mut self, now: Instant) {
        (self.heard, self.asked) = (now, 0);
    }

    /// What is due now; a question counts as asked.
    pub(crate) fn look(&mut self, now: Instant) -> Due {
        if now.saturating_duration_since(self.heard) < PATIENCE * (self.asked + 1) {
            return Due::Nothing;
        }
        if self.asked == QUESTIONS {
            return Due::End;
        }
        self.asked += 1;
        Due::Question
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_silent_is_asked_twice_and_then_gone() {
        let start = Instant::now();
        let mut pulse = Pulse { heard: start, asked: 0 };
        let mut at = |seconds| pulse.look(start + Duration::from_secs(seconds));
        assert_eq!([24, 25, 26, 49, 50, 74, 75].map(&mut at), {
            use Due::{End, Nothing, Question};
            [Nothing, Question, Nothing, Nothing, Question, Nothing, End]
        });
        pulse.heard(start + Duration::from_mins(1));
        assert_eq!(pulse.look(start + Duration::from_secs(84)), Due::Nothing, "an answer counts");
        assert_eq!(pulse.look(start + Duration::from_secs(85)), Due::Question);
    }

    #[test]
    fn those_who_came_at_once_are_not_asked_at_once() {
        let start = Instant::now();
        let mut all: Vec<Pulse> = (0..10_000).map(|_| Pulse::begin(start)).collect();
        let beat = Duration::from_millis(500);
        let mut asked = Vec::new();
        for n in 0..=50 {
            asked.push(all.iter_mut().filter_map(|pulse| (pulse.look(start + beat * n) == Due::Question).then_some(())).count());
        }
        assert_eq!(asked.iter().sum::<usize>(), all.len(), "each once in the first 25 s: {asked:?}");
        assert!(asked.iter().all(|n| *n < 800), "400 in each half second, and not all in one: {asked:?}");
    }
}
