//! The jobs of bundles: handed to the worker one after the other, as places become free, all under the lease on their bundle's entry.
//!
//! Settling ([`settle`](super::settle)) alone writes how far a bundle is, so that no news of it overtakes another.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

use super::held::{Holding, Shared};
use crate::{
    Lane, Lease, Outcome, QueueError,
    bundle::{self, Bundled, Ends},
    lease::Leased,
};

/// How long a bundle waits that Redis did not let be read.
const PAUSE: Duration = Duration::from_secs(1);
/// For so long nobody asks whether anything was said of a job of a bundle since it was read.
const MOMENT: Duration = Duration::from_millis(20);
/// How many bundles are read ahead, so that nobody waits for Redis between one and the next.
const AHEAD: usize = 2;

/// Gives a worker the job of a lease, whose payload this is. What it gives is not known here, so that this is compiled once.
pub(crate) type Door = dyn Fn(&Lease, &[u8]) -> serde_json::Result<()> + Send + Sync;

/// An entry of a bundle that was read, and how many jobs it says there are.
pub(crate) struct Read {
    pub lease: Lease,
    pub size: usize,
}

/// A bundle in the hands of a worker.
pub(crate) struct Bundle {
    /// The lease on its entry.
    pub lease: Lease,
    /// Whether its jobs are counted where the jobs of bundles are.
    is_counted: bool,
    jobs: Vec<Bundled>,
    /// When its record was read.
    read_at: Instant,
    /// What tells the jobs from others of which something had been said by then.
    said: HashSet<String>,
    course: Mutex<Course>,
}

/// How far a bundle is.
struct Course {
    ends: Ends,
    /// How many jobs this worker has still to do with.
    in_hand: usize,
}

/// One job of a bundle.
pub(crate) struct Member {
    pub bundle: Arc<Bundle>,
    pub place: usize,
    adopted: AtomicBool,
}

impl Bundle {
    fn new(Read { lease, size }: Read, Content { jobs, ends, said }: Content) -> Self {
        let course = Mutex::new(Course { in_hand: ends.left, ends });
        Self { lease, is_counted: size > 0, jobs, read_at: Instant::now(), said, course }
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner) // each change of it is one step
    }

    /// Notes that a job is over, in a state if it has one.
    pub(crate) fn end(&self, place: usize, state: Option<&str>) {
        self.course().ends.end(place, state);
    }

    /// Notes that a job has left.
    pub(crate) fn leave(&self, place: usize) {
        self.course().ends.leave(place);
    }

    /// True once every job is over or has left.
    pub(crate) fn is_over(&self) -> bool {
        self.course().ends.left == 0
    }

    /// How many jobs it is counted as, where those of bundles are counted.
    pub(crate) fn size(&self) -> usize {
        if self.is_counted { self.jobs.len() } else { 0 }
    }

    /// How far it is, as its record keeps it.
    pub(crate) fn ends(&self) -> String {
        self.course().ends.to_string()
    }

    /// This worker has no more to do with so many of its jobs. True if these were the last.
    pub(crate) fn put_down(&self, jobs: usize) -> bool {
        let mut course = self.course();
        course.in_hand = course.in_hand.saturating_sub(jobs);
        course.in_hand == 0
    }

    /// The places of the jobs that are not over.
    fn open_places(&self) -> Vec<usize> {
        let course = self.course();
        (0..self.jobs.len()).filter(|place| course.ends.is_open(*place)).collect()
    }
}

impl Member {
    /// True if its bundle was read a moment ago.
    pub(crate) fn is_fresh(&self) -> bool {
        self.bundle.read_at.elapsed() < MOMENT
    }

    pub(crate) fn job(&self) -> &Bundled {
        &self.bundle.jobs[self.place]
    }

    /// Whether the job has a record of its own.
    pub(crate) fn is_adopted(&self) -> bool {
        self.adopted.load(Relaxed)
    }

    pub(crate) fn set_adopted(&self) {
        self.adopted.store(true, Relaxed);
    }
}

/// Hands over the jobs of the bundles of a lane until no bundle can come any more.
pub(crate) async fn run(shared: Arc<Shared>, lane: Lane, mut bundles: mpsc::UnboundedReceiver<Read>, door: Arc<Door>) {
    let load = |read: Read| {
        let shared = &shared;
        async move {
            let size = read.size;
            let bundle = load(shared, lane, read).await;
            if bundle.is_none() {
                shared.count_fed(lane, size);
            }
            bundle
        }
    };
    let mut loaded = std::pin::pin!(stream::poll_fn(|cx| bundles.poll_recv(cx)).map(load).buffered(AHEAD));
    while let Some(bundle) = loaded.next().await {
        if let Some(bundle) = bundle {
            feed(&shared, lane, &Arc::new(bundle), &*door).await;
        }
    }
}

/// Reads the jobs of a bundle, and how far they are. What cannot be read is settled here.
async fn load(shared: &Shared, lane: Lane, read: Read) -> Option<Bundle> {
    if shared.is_closing() {
        shared.give_back(lane, &[read.lease]).await;
        return None;
    }
    let content = match &read.lease.0.body {
        Some(body) => Content::read(body, None, HashSet::new()).map(Some), // it was added in this process just now
        None => ask(&read.lease).await,
    };
    let outcome = match content {
        Ok(Some(content)) if !content.jobs.is_empty() => return Some(Bundle::new(read, content)),
        Ok(Some(_)) => Outcome::Done,
        Ok(None) => Outcome::Dead { reason: "its record is gone".into() },
        Err(QueueError::Malformed(reason)) => Outcome::Dead { reason },
        Err(error) => {
            tracing::warn!(queue = shared.owner.queue.name(), job = read.lease.job_id(), %error, "a bundle waits");
            Outcome::HoldFor { wait: PAUSE }
        }
    };
    shared.report(read.lease, outcome);
    None
}

/// What the record of a bundle says.
struct Content {
    jobs: Vec<Bundled>,
    ends: Ends,
    said: HashSet<String>,
}

impl Content {
    fn read(body: &Bytes, ends: Option<&[u8]>, said: HashSet<String>) -> Result<Self, QueueError> {
        let jobs = bundle::read(body)?;
        let ends =
            ends.map_or_else(|| Ok(Ends::new(jobs.len())), |ends| Ends::read(&String::from_utf8_lossy(ends), jobs.len()))?;
        Ok(Self { jobs, ends, said })
    }
}

/// Asks for the record of a bundle.
async fn ask(lease: &Lease) -> Result<Option<Content>, QueueError> {
    let queue = lease.queue();
    let ask = redis::cmd("HGETALL").arg(queue.keys.job(lease.job_id())).to_owned();
    let fields: HashMap<String, Bytes> = ask.query_async(&mut queue.connection()).await?;
    let said = fields.keys().filter_map(|field| Some(field.split_once(':')?.1.to_owned())).collect();
    Ok(match (fields.get("state"), fields.get("body")) {
        (None, _) => None,
        (Some(_), None) => Some(Content { jobs: Vec::new(), ends: Ends::new(0), said }), // until November 2026: its jobs have all left
        (Some(_), Some(body)) => Some(Content::read(body, fields.get("ends").map(|ends| &**ends), said)?),
    })
}

/// Hands the jobs of a bundle over as places become free. Those that have to wait, or belong elsewhere, leave; and all do once a worker
/// died with them: which of them it died of shows only if each runs by itself.
async fn feed(shared: &Shared, lane: Lane, bundle: &Arc<Bundle>, door: &Door) {
    let mut closing = shared.closing();
    let mut closing = std::pin::pin!(closing.wait_for(|closing| *closing));
    let is_one = |job: &Bundled| bundle.lease.0.delivery.number == 1 && job.lane == lane && job.due.is_none();
    let (here, elsewhere): (Vec<usize>, Vec<usize>) =
        bundle.open_places().into_iter().partition(|place| is_one(&bundle.jobs[*place]));
    if here.is_empty() && elsewhere.is_empty() {
        shared.report(shared.member(bundle, 0), Outcome::Done); // whoever held it died before it was ended
    }
    // All are counted, and those that were over when the bundle was read are passed over now.
    shared.count_fed(lane, bundle.jobs.len() - here.len());
    for place in elsewhere {
        shared.let_go(shared.member(bundle, place));
    }
    for (done, place) in here.iter().enumerate() {
        let places = tokio::select! {
            biased;
            _ = &mut closing => None,
            places = shared.place_for(lane) => Some(places),
        };
        let rest = &here[done..];
        let Some(places) = places else {
            for place in rest {
                shared.let_go(shared.member(bundle, *place));
            }
            return shared.count_fed(lane, rest.len());
        };
        if bundle.lease.is_lost() {
            shared.put_down(bundle, rest.len());
            return shared.count_fed(lane, rest.len());
        }
        shared.count_fed(lane, 1);
        let lease = shared.member(bundle, *place);
        shared.held().insert(lease.0.serial, Holding { lease: lease.clone(), started: false, places });
        if let Err(error) = door(&lease, &bundle.jobs[*place].payload) {
            shared.report(lease, Outcome::Dead { reason: format!("it cannot be decoded: {error}") });
        }
    }
}

impl Shared {
    /// The lease on a job of a bundle.
    fn member(&self, bundle: &Arc<Bundle>, place: usize) -> Lease {
        let job = &bundle.jobs[place];
        let of_bundle = &bundle.lease.0;
        Lease(Arc::new(Leased {
            serial: self.serial(),
            owner: of_bundle.owner.clone(),
            delivery: of_bundle.delivery.clone(),
            tries: 0,
            job: job.id.clone(),
            body: (!bundle.said.contains(bundle::split(&job.id).1)).then(|| job.body.clone()),
            member: Some(Member { bundle: bundle.clone(), place, adopted: AtomicBool::new(false) }),
        }))
    }

    /// This worker has no more to do with so many jobs of a bundle, and with the bundle itself once it has none left in hand.
    pub(crate) fn put_down(&self, bundle: &Bundle, jobs: usize) {
        if bundle.put_down(jobs) {
            self.held().remove(&bundle.lease.0.serial);
        }
    }
}
