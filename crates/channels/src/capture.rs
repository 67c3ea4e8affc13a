//! A folder instead of a provider, for development: each message becomes a file.

use std::{
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use stentor_domain::{Clock, DeliveryId, SystemClock, Timestamp};

/// A folder that messages are written to. Nobody ever sees half a file there.
#[derive(Debug)]
pub(crate) struct Outbox {
    dir: PathBuf,
}

impl Outbox {
    /// Makes the folder if it is absent.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Writes one message to a file of its own, even if the same delivery was written before: that it was sent twice
    /// must show. Files sort by the time at which they were written.
    pub(crate) async fn write(&self, id: DeliveryId, extension: &str, bytes: &[u8]) -> io::Result<()> {
        static WRITTEN: AtomicU64 = AtomicU64::new(0);
        let count = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let name = format!("{:013}-{count:06}-{id}.{extension}", now().as_millis());
        // A leading dot hides it from listings, and another extension from who looks for messages.
        let draft = self.dir.join(format!(".{name}.draft"));
        tokio::fs::write(&draft, bytes).await?;
        tokio::fs::rename(&draft, self.dir.join(name)).await
    }
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}
