//! The layer around handlers: how one ended becomes a settlement, whatever way it ended.

use std::{
    fmt::Display,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use apalis::prelude::{BoxDynError, Task};
use futures_util::FutureExt;
use tower::{Layer, Service};

use super::held::Shared;
use crate::{Lease, Outcome};

/// Wraps a handler's service.
#[derive(Clone)]
pub struct SettleLayer(Arc<Shared>);

impl SettleLayer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }
}

impl<S> Layer<S> for SettleLayer {
    type Service = SettleService<S>;

    fn layer(&self, inner: S) -> SettleService<S> {
        SettleService { inner, shared: self.0.clone() }
    }
}

/// A handler's service, settled.
#[derive(Clone)]
pub struct SettleService<S> {
    inner: S,
    shared: Arc<Shared>,
}

/// A running handler. One that is dropped in mid-run leaves what is held, so that its lease is renewed no more and ends.
struct Running {
    shared: Arc<Shared>,
    lease: Option<Lease>,
}

impl Running {
    fn end(mut self, outcome: Outcome) {
        if let Some(lease) = self.lease.take() {
            self.shared.report(lease, outcome);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.shared.held().remove(&lease.0.serial);
            if let Some(member) = &lease.0.member {
                self.shared.put_down(&member.bundle, 1);
            }
        }
    }
}

/// What becomes of a handler that failed without saying how to go on: again with doubling waits, then given up.
fn again(shared: &Shared, lease: &Lease, why: &dyn Display) -> Outcome {
    let reason = why.to_string();
    if lease.attempt() >= shared.owner.config.max_attempts {
        return Outcome::Dead { reason: format!("{} attempts, the last: {reason}", lease.attempt()) };
    }
    Outcome::RetryAfter { wait: Duration::from_secs(1 << lease.0.tries.min(10)), reason }
}

impl<S, A> Service<Task<A>> for SettleService<S>
where
    S: Service<Task<A>, Response = Outcome>,
    S::Future: Send + 'static,
    S::Error: Into<BoxDynError>,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxDynError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, task: Task<A>) -> Self::Future {
        let Some(lease) = task.ctx().data().get::<Lease>().cloned() else {
            return Box::pin(async { Err("a task without a lease".into()) });
        };
        if !self.shared.start(&lease) {
            return Box::pin(async { Ok(()) }); // given back meanwhile
        }
        let shared = self.shared.clone();
        let running = Running { shared: shared.clone(), lease: Some(lease.clone()) };
        // A panic is the failure of this job alone.
        let handler = AssertUnwindSafe(self.inner.call(task)).catch_unwind();
        Box::pin(async move {
            running.end(match handler.await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(error)) => again(&shared, &lease, &error.into()),
                Err(_) => again(&shared, &lease, &"the handler panicked"),
            });
            Ok(())
        })
    }
}
