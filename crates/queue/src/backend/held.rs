//! What a worker holds: the leases, their places, and whether their handlers have started.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::{FromRedisValue, RedisError, RedisResult, Script};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::sleep,
};

use crate::{Lane, Lease, Outcome, Queue, backend::WorkerConfig, lease::Owner, scripts};

/// The consumer group of every queue.
pub(crate) const GROUP: &str = "workers";
/// The most entries that one script touches: about 2 ms of Redis's single thread.
pub(crate) const STEP: usize = 500;

/// A place of the worker, and one of those that `high` leaves to the others; of one that has ended, its room until it is settled.
pub(crate) type Places = [Option<OwnedSemaphorePermit>; 2];

/// One lease, and the places it takes.
pub(crate) struct Holding {
    pub lease: Lease,
    pub started: bool,
    pub places: Places,
}

/// How a lease ends.
pub(crate) struct Settlement {
    pub lease: Lease,
    pub end: End,
}

/// What becomes of the job of a lease that ends.
pub(crate) enum End {
    /// What its handler said.
    Outcome(Outcome),
    /// It leaves its bundle, and gets an entry for others to read.
    Leave,
}

/// What the tasks of a backend share.
pub(crate) struct Shared {
    pub owner: Arc<Owner>,
    pub places: Arc<Semaphore>,
    /// Four fifths of the places: what `normal` and `bulk` may take together.
    pub common: Arc<Semaphore>,
    /// How many more may wait to be settled without a place.
    unsettled: Arc<Semaphore>,
    /// By serial number.
    held: Mutex<HashMap<u64, Holding>>,
    /// The last serial number of a lease.
    serial: AtomicU64,
    /// How many jobs of bundles that were read wait for places, by lane.
    unfed: [AtomicUsize; 3],
    /// Told when few do.
    pub few_unfed: Notify,
    settled: mpsc::UnboundedSender<Settlement>,
    closing: watch::Sender<bool>,
    /// The reader waits: a moment ago the lanes were empty.
    pub waiting: AtomicBool,
    /// Somebody submits in this process, and hands over what there are places for.
    pub handed_over: AtomicBool,
}

impl Shared {
    pub(crate) fn new(queue: Queue, config: WorkerConfig, settled: mpsc::UnboundedSender<Settlement>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(config.concurrency)),
            common: Arc::new(Semaphore::new((config.concurrency * 4).div_ceil(5))),
            unsettled: Arc::new(Semaphore::new(config.concurrency)),
            held: Mutex::default(),
            serial: AtomicU64::default(),
            unfed: Default::default(),
            few_unfed: Notify::new(),
            settled,
            closing: watch::channel(false).0,
            waiting: AtomicBool::new(false),
            handed_over: AtomicBool::new(false),
            owner: Arc::new(Owner { queue, config, consumer: format!("{}-{}", std::process::id(), ulid::Ulid::new()).into() }),
        }
    }

    /// A number for a new lease.
    pub(crate) fn serial(&self) -> u64 {
        self.serial.fetch_add(1, Relaxed)
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, HashMap<u64, Holding>> {
        // A panic between two operations on the map cannot leave it half-changed.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leases that satisfy `want`, by lane.
    pub(crate) fn by_lane(&self, want: impl Fn(&Holding) -> bool) -> [Vec<Lease>; 3] {
        let mut lanes: [Vec<Lease>; 3] = Default::default();
        for holding in self.held().values().filter(|h| want(h)) {
            lanes[holding.lease.0.delivery.lane as usize].push(holding.lease.clone());
        }
        lanes
    }

    /// Marks a lease as started; false if it was given back meanwhile.
    pub(crate) fn start(&self, lease: &Lease) -> bool {
        self.held().get_mut(&lease.0.serial).map(|holding| holding.started = true).is_some()
    }

    /// Hands an outcome over to be settled. Its place is free for the next at once, unless as many as there are places wait to be
    /// settled: then it keeps the place for so long, as suspects keep their turn.
    pub(crate) fn report(&self, lease: Lease, outcome: Outcome) {
        if !lease.is_suspect()
            && let Ok(room) = self.unsettled.clone().try_acquire_owned()
            && let Some(holding) = self.held().get_mut(&lease.0.serial)
        {
            holding.places = [Some(room), None];
        }
        let _ = self.settled.send(Settlement { lease, end: End::Outcome(outcome) });
    }

    /// Lets a job that nobody started leave its bundle.
    pub(crate) fn let_go(&self, lease: Lease) {
        let _ = self.settled.send(Settlement { lease, end: End::Leave });
    }

    /// So many jobs of bundles wait for places from now on.
    pub(crate) fn count_unfed(&self, lane: Lane, jobs: usize) {
        self.unfed[lane as usize].fetch_add(jobs, Relaxed);
    }

    /// So many of them wait no more.
    pub(crate) fn count_fed(&self, lane: Lane, jobs: usize) {
        let unfed = &self.unfed[lane as usize];
        let before = unfed.fetch_update(Relaxed, Relaxed, |unfed| Some(unfed.saturating_sub(jobs))).unwrap_or_default();
        if before >= self.few() && before - jobs.min(before) < self.few() {
            self.few_unfed.notify_one();
        }
    }

    /// How many wait, by lane.
    pub(crate) fn unfed(&self) -> [usize; 3] {
        self.unfed.each_ref().map(|unfed| unfed.load(Relaxed))
    }

    /// While fewer than so many wait, the next bundle is read.
    pub(crate) fn few(&self) -> usize {
        self.owner.config.concurrency.div_ceil(2)
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Sleeps, but not beyond the beginning of a stop.
    pub(crate) async fn pause(&self, time: Duration) {
        let mut closing = self.closing();
        tokio::select! {
            () = sleep(time) => {}
            _ = closing.wait_for(|closing| *closing) => {}
        }
    }

    /// Free places, and those among them that `normal` and `bulk` may take.
    pub(crate) fn free(&self) -> (usize, usize) {
        let all = self.places.available_permits();
        (all, all.min(self.common.available_permits()))
    }

    /// Waits for a place for an entry of `lane`. Who waits is served in turn, so that fetching and taking over share.
    pub(crate) async fn place_for(&self, lane: Lane) -> Places {
        let common = if lane == Lane::High { None } else { self.common.clone().acquire_owned().await.ok() };
        [self.places.clone().acquire_owned().await.ok(), common]
    }

    /// Places that are free now, at most `most`.
    pub(crate) fn free_places(&self, lane: Lane, most: usize) -> impl Iterator<Item = Places> {
        let place = move || {
            let common = if lane == Lane::High { None } else { Some(self.common.clone().try_acquire_owned().ok()?) };
            Some([Some(self.places.clone().try_acquire_owned().ok()?), common])
        };
        std::iter::from_fn(place).take(most)
    }

    /// Gives a lease its places. False if it was given back or lost while it waited for them.
    pub(crate) fn seat(&self, lease: &Lease, places: Places) -> bool {
        let mut held = self.held();
        if lease.is_lost() {
            held.remove(&lease.0.serial);
        }
        held.get_mut(&lease.0.serial).map(|holding| holding.places = places).is_some()
    }

    /// Calls a fenced script on the leases of one lane.
    pub(crate) async fn fenced<T: FromRedisValue>(
        &self,
        script: &Script,
        lane: Lane,
        extra: Option<u64>,
        leases: &[Lease],
    ) -> RedisResult<T> {
        let mut call = script.key(self.owner.queue.keys.lane(lane));
        call.key(&self.owner.queue.keys.starts).arg(GROUP).arg(&*self.owner.consumer);
        if let Some(extra) = extra {
            call.arg(extra);
        }
        for lease in leases {
            call.arg(&*lease.0.delivery.entry).arg(lease.0.delivery.number);
        }
        call.invoke_async(&mut self.owner.queue.connection()).await
    }

    /// Gives leases back that nobody started: they end now, and others take the entries over.
    pub(crate) async fn give_back(&self, lane: Lane, leases: &[Lease]) {
        {
            let mut held = self.held(); // first, so that a late start is refused
            for lease in leases {
                held.remove(&lease.0.serial);
            }
        }
        let (members, entries): (Vec<Lease>, Vec<Lease>) = leases.iter().cloned().partition(|lease| lease.0.member.is_some());
        for lease in members {
            self.let_go(lease);
        }
        for chunk in entries.chunks(STEP) {
            let ended = Some(self.owner.config.lease_ms() + 1);
            if let Err(error) = self.fenced::<u64>(&scripts::GIVE_BACK, lane, ended, chunk).await {
                // No second try: the leases end by themselves.
                self.wait_out(&mut 0, &error, "give back").await;
            }
        }
    }

    /// Waits after trouble with Redis, longer each time, up to 1.6 s.
    pub(crate) async fn wait_out(&self, tries: &mut u32, error: &RedisError, what: &'static str) {
        metrics::counter!("stentor_queue_redis_errors_total", "queue" => self.owner.queue.name().to_owned()).increment(1);
        if *tries == 0 {
            tracing::warn!(queue = self.owner.queue.name(), what, %error, "the queue waits for Redis");
        }
        // Not all workers at the same moment.
        let spread = u64::from(std::process::id() % 50);
        sleep(Duration::from_millis((50 << (*tries).min(5)) + spread)).await;
        *tries += 1;
    }
}
