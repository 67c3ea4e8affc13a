//! SIGTERM and Ctrl-C become one token that everything else waits on.

use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first signal. The second signal ends the process at once.
pub(crate) fn on_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = CancellationToken::new();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let signalled = stop.clone();
    tokio::spawn(async move {
        for again in [false, true] {
            tokio::select! { _ = term.recv() => {} _ = int.recv() => {} }
            if again {
                std::process::exit(130);
            }
            tracing::info!("stopping; once more ends it at once");
            signalled.cancel();
        }
    });
    Ok(stop)
}
