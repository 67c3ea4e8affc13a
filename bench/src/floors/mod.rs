//! The least that could do the work: what Stentor is held against.

mod accept;
pub(crate) mod archive;
pub(crate) mod inbox;
pub(crate) mod queue;
mod sockets;
pub(crate) mod templates;

/// Serves a floor on a free port, whose address it prints.
pub(crate) async fn serve(kind: &str, args: &[String]) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    let router = match kind {
        "accept" => accept::router(&args[0]).await,
        kind => sockets::router(kind, args.first().map(String::as_str)).await,
    };
    axum::serve(listener, router).await
}
