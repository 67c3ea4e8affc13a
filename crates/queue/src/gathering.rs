//! Gathering: while a few calls are under way, further submissions wait for the end of one and go together. Alone, one waits for nothing;
//! under load, dozens share a call and its round trip.

use std::{
    mem,
    pin::pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use redis::{ErrorKind, RedisError};
use tokio::sync::oneshot;

use crate::{Queue, QueueError, Submitted, batch::FEWEST, submit::Submission};

impl Queue {
    /// A number that changes whenever a call goes out: what is submitted under the same number most likely goes in the same call.
    pub fn gathering(&self) -> u64 {
        self.gathering.calls.load(Relaxed)
    }

    async fn submit_gathered(&self, all: Vec<Submission>) -> Result<Vec<Submitted>, QueueError> {
        if all.len() >= FEWEST {
            let mut batch = self.batch();
            for submission in all {
                batch.push_waiting(submission);
            }
            return batch.submit().await;
        }
        let mut submitted = vec![Submitted::Accepted; all.len()];
        let all: Vec<(usize, Submission)> = all.into_iter().enumerate().collect();
        self.submit_singles(&all, &mut submitted).await?;
        Ok(submitted)
    }

    /// Submits whatever waits, until nothing does.
    async fn submit_waiting(&self) {
        while let Some(waiting) = self.gathering.take() {
            let (mut all, mut tell, mut along) = (Vec::new(), Vec::new(), FuturesUnordered::new());
            for one in waiting {
                all.push(one.submission);
                tell.push(one.tell);
                along.extend(one.along);
            }
            match with(self.submit_gathered(all), along).await {
                Ok(answers) => tell.into_iter().zip(answers).for_each(|(tell, answer)| drop(tell.send(Ok(answer)))),
                Err(error) => {
                    // Whoever waited behind a Redis that does not answer is not made to wait for it once more.
                    let behind = if matches!(error, QueueError::Redis(_)) { self.gathering.take_all() } else { Vec::new() };
                    let tell = tell.into_iter().chain(behind.into_iter().map(|one| one.tell));
                    tell.for_each(|tell| drop(tell.send(Err(error.clone()))));
                }
            }
        }
    }
}

/// The most calls under way: as many as keep Redis and this process busy at the same time.
const UNDER_WAY: usize = 4;

/// Submissions that wait for the end of a call.
#[derive(Default)]
pub(crate) struct Gathering {
    gathered: Mutex<Gathered>,
    /// How many calls have gone out.
    calls: AtomicU64,
}

#[derive(Default)]
struct Gathered {
    waiting: Vec<Waiting>,
    under_way: usize,
}

struct Waiting {
    submission: Submission,
    tell: Told,
    along: Option<BoxFuture<'static, ()>>,
}

type Told = oneshot::Sender<Result<Submitted, QueueError>>;

impl Gathering {
    /// Submits along with whoever else does.
    pub(crate) async fn submit(
        &self,
        queue: &Queue,
        submission: Submission,
        along: Option<BoxFuture<'static, ()>>,
    ) -> Result<Submitted, QueueError> {
        let (tell, told) = oneshot::channel();
        let is_free = {
            let mut gathered = self.lock();
            gathered.waiting.push(Waiting { submission, tell, along });
            let is_free = gathered.under_way < UNDER_WAY;
            gathered.under_way += usize::from(is_free);
            is_free
        };
        if is_free {
            // In a task of its own: that the first caller goes away must not take the others along.
            let queue = queue.clone();
            tokio::spawn(async move { queue.submit_waiting().await });
        }
        told.await.unwrap_or_else(|_| Err(RedisError::from((ErrorKind::Io, "the process ends")).into()))
    }

    /// True if a call is free for what comes now, and nothing waits for it.
    pub(crate) fn is_calm(&self) -> bool {
        let gathered = self.lock();
        gathered.waiting.is_empty() && gathered.under_way < UNDER_WAY
    }

    /// What waits; `None` ends the call that asks.
    fn take(&self) -> Option<Vec<Waiting>> {
        let mut gathered = self.lock();
        if gathered.waiting.is_empty() {
            gathered.under_way -= 1;
            return None;
        }
        self.calls.fetch_add(1, Relaxed);
        Some(mem::take(&mut gathered.waiting))
    }

    fn take_all(&self) -> Vec<Waiting> {
        mem::take(&mut self.lock().waiting)
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `first`, with `along` begun right behind it. What of that has not ended with it goes on by itself.
async fn with<T>(first: impl Future<Output = T>, mut along: FuturesUnordered<BoxFuture<'static, ()>>) -> T {
    let mut first = pin!(first);
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut first => break answer,
            Some(()) = along.next() => {}
        }
    };
    while let Some(Some(())) = along.next().now_or_never() {}
    if !along.is_empty() {
        tokio::spawn(along.collect::<()>());
    }
    answer
}
