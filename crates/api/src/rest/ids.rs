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
    place: u16,
}

impl Ids {
    /// An id for what is accepted `at` this time and goes with the others of `gathering`.
    fn next(&self, at: Timestamp, gathering: u64) -> NotificationId {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = match last.take() {
            Some(Last { id, gathering: known, place }) if known == gathering && place < PLACES && id.accepted_at() == at => {
                Last { id: id.at_place(place + 1), gathering, place: place + 1 }
            }
            _ => Last { id: random(at).at_place(0), gathering, place: 0 },
        };
        last.insert(next).id
    }
}

/// The highest place.
const PLACES: u16 = 0xfff;

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
        let together: Vec<String> = (0..5_000).map(|_| ids.next(at, 1).to_string()).collect();
        assert!(together[..4_096].is_sorted() && together[..4_096].iter().all(|id| id[..33] == together[0][..33]));
        assert_ne!(together[4_096][..33], together[0][..33], "there are no more places");
        let apart =
            [ids.next(at, 2), ids.next(Timestamp::from_millis(1_790_000_000_001), 2), ids.next(at, 2)].map(|id| id.to_string());
        let all: HashSet<&str> = together.iter().chain(&apart).map(|id| &id[..33]).collect();
        assert_eq!(all.len(), 5);
        assert_eq!(together.iter().chain(&apart).collect::<HashSet<_>>().len(), 5_003);
    }
}
