//! The ids of what is accepted.

use std::sync::{Mutex, PoisonError};

use stentor_domain::{NotificationId, Timestamp};

use crate::ApiState;

/// Gives ids to requests that come by themselves.
///
/// Those of one millisecond that will most likely be written in one call differ in their places alone, as those of a batch do: so the queue
/// can keep them together.
#[derive(Default)]
pub(crate) struct Ids(Mutex<Option<Last>>);

/// The id that was given last.
struct Last {
    id: NotificationId,
    gathering: u64,
}

impl Ids {
    /// An id for what is accepted `at` this time and goes with the others of `gathering`.
    fn next(&self, at: Timestamp, gathering: u64) -> NotificationId {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = match &*last {
            Some(Last { id, gathering: known }) if *known == gathering && id.accepted_at() == at => {
                (id.place() < NotificationId::LAST_PLACE).then(|| id.at_place(id.place() + 1))
            }
            _ => None,
        };
        last.insert(Last { id: id.unwrap_or_else(|| random(at)), gathering }).id
    }
}

fn random(at: Timestamp) -> NotificationId {
    let mut random = [0; 10];
    rand::Rng::fill(&mut rand::rng(), &mut random);
    NotificationId::new(at, &random)
}

impl ApiState {
    /// An id for what is accepted now.
    pub(crate) fn next_id(&self) -> NotificationId {
        self.ids.next(self.now(), self.dispatch.gathering())
    }

    /// The id of the first of those that are accepted now in one call.
    pub(crate) fn first_id(&self) -> NotificationId {
        random(self.now()).at_place(0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_of_one_moment_and_call_differ_in_their_last_digits_alone_and_none_comes_twice() {
        let (ids, at) = (Ids::default(), Timestamp::from_millis(1_790_000_000_000));
        let first = ids.next(at, 1);
        let (mut all, mut alike) = (HashSet::from([first]), HashSet::from([first.at_place(0)]));
        let mut last = first;
        for _ in first.place()..NotificationId::LAST_PLACE {
            let next = ids.next(at, 1);
            assert!(next > last && all.insert(next) && next.at_place(0) == first.at_place(0), "{last} {next}");
            last = next;
        }
        let later = Timestamp::from_millis(1_790_000_000_001);
        for (at, gathering) in [(at, 1), (at, 2), (later, 2), (at, 2)] {
            let other = ids.next(at, gathering);
            assert!(
                all.insert(other) && alike.insert(other.at_place(0)),
                "no place is left, or it goes in another call: {other}"
            );
        }
    }
}
