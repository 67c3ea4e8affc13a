//! Batches: many jobs that are submitted in one call. Those that are alike go as [bundles](crate::bundle).

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    Idempotency, Lane, NewJob, Queue, QueueError, Submitted,
    backend::Reserved,
    bundle::{self, ANY, bundle_of},
    millis,
    queue::STEP,
    scripts,
    submit::{Read, Submission, from_reply, tell_reader, too_many},
};

/// The fewest jobs that are worth a bundle.
pub(crate) const FEWEST: usize = 4;
/// With so many bytes a bundle takes no more jobs: who looks for one of them reads it all.
const FULL: usize = 1 << 20;
/// As many bytes as the few dozens that gather have: what grows to them step by step is copied at each.
const USUAL: usize = 16 * 1_024;
/// The most jobs of a bundle: its keys are words of one command, and a script can say 8,000.
const MOST: usize = 2_000;
/// The most bundles that one script adds: about 1 ms of Redis's single thread.
const BUNDLES: usize = 4;

/// Jobs that are to be submitted together.
pub struct Batch<'q> {
    queue: &'q Queue,
    /// How many there are.
    len: usize,
    alike: Vec<NewBundle>,
    /// By place.
    singles: Vec<(usize, Submission)>,
    /// Those whose key an earlier one has: they come last, and so meet the first.
    repeats: Vec<(usize, Submission)>,
    /// The hashes of the keys of those before. Of two keys of one hash the later one only comes last, as a repeat would.
    keys: HashSet<u64>,
    hasher: RandomState,
}

/// Jobs of one lane whose ids differ in their last two characters alone.
struct NewBundle {
    id: String,
    lane: Lane,
    /// Where they are in the batch.
    places: Vec<usize>,
    body: Vec<u8>,
    /// For each '1' if it has an idempotency key, else '0'.
    keyed: Vec<u8>,
    keys: Vec<Key>,
    /// Each key, and "id fingerprint" behind it, which is what is remembered of it.
    words: Vec<u8>,
}

/// An idempotency key of one of them: where it begins in the words of its bundle, where its name ends, and what is remembered of it.
struct Key {
    begin: usize,
    name: usize,
    end: usize,
    ttl: Duration,
}

impl Queue {
    /// A batch without jobs.
    pub fn batch(&self) -> Batch<'_> {
        Batch {
            queue: self,
            len: 0,
            alike: Vec::new(),
            singles: Vec::new(),
            repeats: Vec::new(),
            keys: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// Adds many jobs in one round trip, or two. Answers in order; earlier ones count for later ones of the same key.
    pub async fn submit_many(&self, jobs: &[(NewJob<'_>, Option<Idempotency<'_>>)]) -> Result<Vec<Submitted>, QueueError> {
        let mut batch = self.batch();
        for (job, idempotency) in jobs {
            batch.push(job, *idempotency);
        }
        batch.submit().await
    }
}

impl Batch<'_> {
    /// Takes one more.
    pub fn push(&mut self, job: &NewJob<'_>, idempotency: Option<Idempotency<'_>>) {
        let place = self.place();
        if self.is_repeat(idempotency) {
            self.repeats.push((place, Submission::new(job, idempotency)));
        } else if let Some(bundle) = self.bundle_for(job) {
            bundle.push(place, job, idempotency);
        } else {
            self.singles.push((place, Submission::new(job, idempotency)));
        }
    }

    /// Takes a submission that waited.
    pub(crate) fn push_waiting(&mut self, submission: Submission) {
        let (place, job, idempotency) = (self.place(), submission.job(), submission.idempotency());
        if self.is_repeat(idempotency) {
            self.repeats.push((place, submission));
        } else if let Some(bundle) = self.bundle_for(&job) {
            bundle.push(place, &job, idempotency);
        } else {
            self.singles.push((place, submission));
        }
    }

    /// The place of the next.
    fn place(&mut self) -> usize {
        self.len += 1;
        self.len - 1
    }

    fn is_repeat(&mut self, idempotency: Option<Idempotency<'_>>) -> bool {
        idempotency.is_some_and(|idempotency| !self.keys.insert(self.hasher.hash_one(idempotency.key)))
    }

    /// The bundle that a job goes in, if it does.
    fn bundle_for(&mut self, job: &NewJob<'_>) -> Option<&mut NewBundle> {
        if !job.is_new || job.due.is_some() {
            return None;
        }
        let shared = bundle::split(job.id).0;
        let is_of = |bundle: &NewBundle| bundle.lane == job.lane && bundle.id.strip_suffix(ANY) == Some(shared);
        let known = self.alike.iter().rposition(is_of).unwrap_or_else(|| {
            self.alike.push(NewBundle::new(job));
            self.alike.len() - 1
        });
        Some(&mut self.alike[known]).filter(|bundle| bundle.body.len() < FULL && bundle.places.len() < MOST)
    }

    /// Submits all. Answers in order.
    pub async fn submit(mut self) -> Result<Vec<Submitted>, QueueError> {
        let mut submitted = vec![Submitted::Accepted; self.len];
        let bundles = self.bundles()?;
        let others = self.queue.submit_bundles(&bundles, &mut submitted).await?;
        for bundle in others {
            bundle.part(&mut self.singles)?;
        }
        self.singles.sort_unstable_by_key(|(place, _)| *place);
        self.singles.append(&mut self.repeats);
        self.queue.submit_singles(&self.singles, &mut submitted).await?;
        Ok(submitted)
    }

    /// The bundles that are worth it. Of several with one name, that with the most jobs; those of the others go by themselves.
    fn bundles(&mut self) -> Result<Vec<NewBundle>, QueueError> {
        let mut bundles: Vec<NewBundle> = Vec::with_capacity(self.alike.len());
        for bundle in std::mem::take(&mut self.alike) {
            let namesake = bundles.iter_mut().find(|known| known.id == bundle.id);
            match namesake {
                _ if bundle.places.len() < FEWEST => bundle.part(&mut self.singles)?,
                None => bundles.push(bundle),
                Some(known) if known.places.len() < bundle.places.len() => {
                    std::mem::replace(known, bundle).part(&mut self.singles)?;
                }
                Some(_) => bundle.part(&mut self.singles)?,
            }
        }
        Ok(bundles)
    }
}

impl NewBundle {
    fn new(job: &NewJob<'_>) -> Self {
        let (id, lane) = (bundle_of(job.id), job.lane);
        let body = Vec::with_capacity(USUAL);
        Self { id, lane, places: Vec::new(), body, keyed: Vec::new(), keys: Vec::new(), words: Vec::new() }
    }

    fn push(&mut self, place: usize, job: &NewJob<'_>, idempotency: Option<Idempotency<'_>>) {
        self.places.push(place);
        bundle::write(job, &mut self.body);
        self.keyed.push(if idempotency.is_some() { b'1' } else { b'0' });
        if let Some(Idempotency { key, fingerprint, ttl }) = idempotency {
            let begin = self.words.len();
            for part in [key.as_bytes(), job.id.as_bytes(), b" ", fingerprint] {
                self.words.extend_from_slice(part);
            }
            self.keys.push(Key { begin, name: begin + key.len(), end: self.words.len(), ttl });
        }
    }

    fn name_of(&self, key: &Key) -> &str {
        str::from_utf8(&self.words[key.begin..key.name]).unwrap_or_default()
    }

    /// "id fingerprint".
    fn words_of(&self, key: &Key) -> &[u8] {
        &self.words[key.name..key.end]
    }

    /// What its entry keeps: "id payload".
    fn job(&self) -> String {
        format!("{} {ANY}{}", self.id, self.places.len())
    }

    /// Its jobs with their keys.
    fn keyed_jobs(&self) -> Result<Vec<(bundle::Bundled, Option<&Key>)>, QueueError> {
        let mut keys = self.keys.iter();
        let jobs = bundle::read(&Bytes::copy_from_slice(&self.body))?;
        Ok(jobs.into_iter().zip(&self.keyed).map(|(job, keyed)| (job, if *keyed == b'1' { keys.next() } else { None })).collect())
    }

    /// Its jobs, each by itself.
    fn part(&self, singles: &mut Vec<(usize, Submission)>) -> Result<(), QueueError> {
        for (place, (job, key)) in self.places.iter().zip(self.keyed_jobs()?) {
            let bundle::Bundled { id, lane, expires, payload, body, .. } = &job;
            let body = Some(&**body).filter(|body| !body.is_empty());
            let job = NewJob { id, lane: *lane, payload, body, due: None, expires: *expires, is_new: true };
            let key = key.map(|key| Idempotency {
                key: self.name_of(key),
                fingerprint: self.words_of(key).get(id.len() + 1..).unwrap_or_default(),
                ttl: key.ttl,
            });
            singles.push((*place, Submission::new(&job, key)));
        }
        Ok(())
    }
}

impl Queue {
    /// Adds jobs one by one, in order; `submitted` has their places.
    pub(crate) async fn submit_singles(
        &self,
        jobs: &[(usize, Submission)],
        submitted: &mut [Submitted],
    ) -> Result<(), QueueError> {
        let reserve = |chunk: &[(usize, Submission)]| {
            let mut wanted = [0; 3];
            for (_, submission) in chunk.iter().filter(|(_, submission)| !submission.waits()) {
                wanted[submission.lane as usize] += 1;
            }
            self.handover.reserve(wanted)
        };
        let mut reserved: Vec<Option<Reserved>> = jobs.chunks(STEP).map(reserve).collect();
        let call = |(chunk, reserved): (&[(usize, Submission)], &Option<Reserved>)| {
            let of = || chunk.iter().map(|(_, submission)| submission);
            let mut call = self.adding(&scripts::SUBMIT, of().map(Submission::count_keys).sum());
            of().for_each(|submission| submission.tell_keys(&self.keys, &mut call));
            tell_reader(&mut call, reserved.as_ref());
            of().for_each(|submission| submission.tell_args(&mut call));
            call
        };
        let calls = jobs.chunks(STEP).zip(&reserved).map(call).collect();
        let (replies, replicated) = self.submit_calls(calls).await?;
        for ((reply, reserved), chunk) in replies.into_iter().zip(&mut reserved).zip(jobs.chunks(STEP)) {
            let (answers, entries): (Vec<(usize, String)>, Vec<Read>) = from_reply(reply)?;
            for (lane, id, fields) in entries {
                let (Some(reserved), Some(lane)) = (reserved.as_mut(), Lane::ALL.get(lane).copied()) else { continue };
                let is_of =
                    |(_, submission): &&(usize, Submission)| fields.get(1).is_some_and(|entry| submission.entry() == *entry);
                let body = chunk.iter().find(is_of).map(|(_, found)| Bytes::copy_from_slice(found.body()));
                reserved.hand_over(lane, (id, fields), body);
            }
            for (place, answer) in answers {
                let (place, _) = chunk.get(place).ok_or_else(too_many)?;
                *submitted.get_mut(*place).ok_or_else(too_many)? = answer.parse()?;
            }
        }
        replicated
    }

    /// Adds bundles. Gives those that were not added, since there is one of this name already.
    async fn submit_bundles<'b>(
        &self,
        bundles: &'b [NewBundle],
        submitted: &mut [Submitted],
    ) -> Result<Vec<&'b NewBundle>, QueueError> {
        let reserve = |step: &[NewBundle]| {
            let mut wanted = [0; 3];
            for bundle in step {
                wanted[bundle.lane as usize] += 1;
            }
            self.handover.reserve(wanted)
        };
        let mut reserved: Vec<Option<Reserved>> = bundles.chunks(BUNDLES).map(reserve).collect();
        let call = |(step, reserved): (&[NewBundle], &Option<Reserved>)| {
            let records = step.iter().map(|bundle| 1 + bundle.keys.len()).sum::<usize>();
            let mut call = self.adding(&scripts::SUBMIT_BUNDLES, 2 + records);
            call.arg(&self.keys.bundled).arg(&self.keys.remembered);
            for bundle in step {
                call.arg(self.keys.job(&bundle.id));
                for key in &bundle.keys {
                    call.arg_of(&self.keys.idempotency(bundle.name_of(key)));
                }
            }
            tell_reader(&mut call, reserved.as_ref());
            for bundle in step {
                let ttl = bundle.keys.iter().map(|key| millis(key.ttl)).max().unwrap_or_default();
                call.arg(bundle.job()).arg(bundle.lane as u8).arg(&bundle.body).arg(ttl).arg(&bundle.keyed);
                call.args(bundle.keys.iter().map(|key| bundle.words_of(key)));
            }
            call
        };
        let calls = bundles.chunks(BUNDLES).zip(&reserved).map(call).collect();
        let mut refused = Vec::new();
        let (replies, replicated) = self.submit_calls(calls).await?;
        for ((reply, reserved), step) in replies.into_iter().zip(&mut reserved).zip(bundles.chunks(BUNDLES)) {
            type Reply = (Vec<(usize, usize, String)>, Vec<Read>, Vec<usize>);
            let (answers, entries, others): Reply = from_reply(reply)?;
            for (lane, id, fields) in entries {
                let (Some(reserved), Some(lane)) = (reserved.as_mut(), Lane::ALL.get(lane).copied()) else { continue };
                let of = |(_, bundle): &(usize, &NewBundle)| fields.get(1).is_some_and(|job| bundle.job().as_bytes() == *job);
                // What is over already is said by its record alone.
                let is_whole = |(place, _): &(usize, &NewBundle)| answers.iter().all(|(bundle, ..)| bundle != place);
                let body = step.iter().enumerate().find(of).filter(is_whole).map(|(_, bundle)| bundle.body.clone());
                reserved.hand_over(lane, (id, fields), body.map(Bytes::from));
            }
            for (bundle, place, answer) in answers {
                let place = step.get(bundle).and_then(|bundle| bundle.places.get(place)).ok_or_else(too_many)?;
                *submitted.get_mut(*place).ok_or_else(too_many)? = answer.parse()?;
            }
            refused.extend(others.into_iter().filter_map(|bundle| step.get(bundle)));
        }
        replicated.map(|()| refused)
    }
}
