//! Who is not written to: the hot copy, filled from the record where Redis lost it.

use std::sync::Arc;

use stentor_archive::{Archive, ArchiveError};
use stentor_domain::{AppId, Channel, Profile, SuppressedAddress, Suppression, SuppressionReason, Timestamp, places};
use stentor_inbox::{Asked, InboxError, Suppressions};
use tokio::sync::Mutex;

/// How many are copied at once.
const PAGE: usize = 1_000;

/// It could not be asked now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SuppressedError {
    #[error("Redis does not answer")]
    Hot(#[from] InboxError),
    #[error("SQL does not answer")]
    Record(#[from] ArchiveError),
}

/// Asks who is not written to.
#[derive(Clone)]
pub(crate) struct Suppressed {
    hot: Suppressions,
    archive: Archive,
    /// One copies, the others wait for it.
    copying: Arc<Mutex<()>>,
}

impl Suppressed {
    pub(crate) fn new(hot: Suppressions, archive: Archive) -> Self {
        Self { hot, archive, copying: Arc::default() }
    }

    /// Whether each is suppressed in `category`, in order.
    pub(crate) async fn ask(
        &self,
        app: &AppId,
        addresses: &[&SuppressedAddress],
        category: Option<&str>,
    ) -> Result<Vec<bool>, SuppressedError> {
        if addresses.is_empty() {
            return Ok(Vec::new());
        }
        let places = places(category);
        // The first is looked at with each of the others.
        let rest = &places[1..];
        let asked: Vec<Asked<'_>> =
            addresses.iter().flat_map(|address| rest.iter().map(|place| (*address, Some(place.as_str())))).collect();
        let reasons = match self.hot.find(app, &asked).await? {
            Some(reasons) => reasons,
            None => self.copy_and_ask(app, &asked).await?,
        };
        Ok(reasons.chunks(rest.len()).map(|said| said.iter().any(Option::is_some)).collect())
    }

    /// Suppresses an address; gives the time as of which it holds.
    pub(crate) async fn add(&self, app: &AppId, suppression: &Suppression, now: Timestamp) -> Result<Timestamp, SuppressedError> {
        Ok(self.hot.suppress(app, &suppression.placed(), now).await?)
    }

    async fn copy_and_ask(&self, app: &AppId, asked: &[Asked<'_>]) -> Result<Vec<Option<SuppressionReason>>, SuppressedError> {
        let _copying = self.copying.lock().await;
        let name = format!("{:016x}", rand::random::<u64>());
        loop {
            if let Some(reasons) = self.hot.find(app, asked).await? {
                return Ok(reasons);
            }
            let copy = self.hot.begin_copy(app, &name).await?;
            let mut after = None;
            loop {
                let page = self.archive.scan_suppressions(app, after, PAGE).await?;
                let placed: Vec<(Suppression, Timestamp)> = page.iter().map(|s| (s.suppression.placed(), s.at)).collect();
                let rows: Vec<_> = placed.iter().map(|(suppression, at)| (suppression, *at)).collect();
                self.hot.copy(app, &rows).await?;
                match page.last().filter(|_| page.len() == PAGE) {
                    Some(last) => after = Some(last.id),
                    None => break,
                }
            }
            if !self.hot.complete(app, &copy).await? {
                tracing::info!(%app, "Redis lost the copy of the suppressions while it was made; it is made anew");
            }
        }
    }

    /// The channels on which each person's address is suppressed, in order.
    pub(crate) async fn of_page(
        &self,
        app: &AppId,
        profiles: &[Profile],
        channels: &[Channel],
        category: Option<&str>,
    ) -> Result<Vec<Vec<Channel>>, SuppressedError> {
        let addresses: Vec<(usize, SuppressedAddress)> = profiles
            .iter()
            .enumerate()
            .flat_map(|(i, profile)| {
                channels.iter().filter_map(move |c| SuppressedAddress::of(profile, *c).map(|address| (i, address)))
            })
            .collect();
        let asked: Vec<&SuppressedAddress> = addresses.iter().map(|(_, address)| address).collect();
        let mut suppressed = vec![Vec::new(); profiles.len()];
        for ((i, address), yes) in addresses.iter().zip(self.ask(app, &asked, category).await?) {
            if yes {
                suppressed[*i].push(address.channel());
            }
        }
        Ok(suppressed)
    }
}
