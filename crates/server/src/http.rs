//! The HTTP server: it waits for nobody for ever, neither for one who reads nothing nor, once the process stops, for a request.

use std::{convert::Infallible, time::Duration};

use anyhow::Context as _;
use axum::{ServiceExt, extract::Request, response::Response};
use tokio::{net::TcpListener, time::sleep};
use tokio_util::sync::CancellationToken;

/// How long the other side of a connection may take nothing of what is written, or not answer at all.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// How long requests that are in flight may take, once the process stops.
const FINISH_WITHIN: Duration = Duration::from_secs(30);

/// Answers requests until `stop`, and those that are in flight then.
pub(crate) async fn serve<S>(listener: TcpListener, service: S, stop: CancellationToken) -> anyhow::Result<()>
where
    S: tower::Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    limit_stalls(&listener).context("how long a connection may stand still cannot be set")?;
    let stopped = stop.clone();
    let server = axum::serve(listener, service.into_make_service()).with_graceful_shutdown(stopped.cancelled_owned());
    let late = async {
        stop.cancelled().await;
        sleep(FINISH_WITHIN).await;
    };
    tokio::select! {
        served = server => served.context("the server ended"),
        () = late => {
            tracing::info!("connections that neither send nor read to the end are given up");
            Ok(())
        }
    }
}

/// Has the kernel end connections that stand still. Whoever writes to one waits in the HTTP library, and would not hear of a limit
/// of ours: so it goes for streams of events, whose connections those that were given up would keep. Accepted connections inherit it.
#[cfg(target_os = "linux")]
fn limit_stalls(listener: &TcpListener) -> std::io::Result<()> {
    Ok(rustix::net::sockopt::set_tcp_user_timeout(listener, TAKEN_WITHIN.as_millis() as u32)?)
}

/// Elsewhere they end as late as the kernel likes.
#[cfg(not(target_os = "linux"))]
fn limit_stalls(_: &TcpListener) -> std::io::Result<()> {
    Ok(())
}
