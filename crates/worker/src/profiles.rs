//! The profiles of a page of recipients: hot copies in one round trip, the rest in one query.

use std::collections::HashMap;

use stentor_archive::{Archive, ArchiveError};
use stentor_domain::{AppId, Profile, ProfilePatch, RecipientId, Timestamp};
use stentor_inbox::{HotProfile, InboxError, Profiles};

/// The profiles could not be read now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfileError {
    #[error("Redis does not answer")]
    Hot(#[from] InboxError),
    #[error("SQL does not answer")]
    Record(#[from] ArchiveError),
}

/// The profiles of a page of a large audience, in order. No hot copies are made: a million people are not read again soon.
pub(crate) async fn look_up(
    profiles: &Profiles,
    archive: &Archive,
    app: &AppId,
    recipients: &[RecipientId],
) -> Result<Vec<Profile>, ProfileError> {
    let hot = profiles.read(app, recipients).await?;
    let open: Vec<RecipientId> = recipients.iter().zip(&hot).filter(|(_, hot)| !hot.complete).map(|(id, _)| id.clone()).collect();
    let mut records = if open.is_empty() { HashMap::new() } else { archive.find_profiles(app, &open).await? };
    let profile = |(id, hot): (&RecipientId, HotProfile)| {
        if hot.complete { hot.profile } else { records.remove(id).unwrap_or_default() }
    };
    Ok(recipients.iter().zip(hot).map(profile).collect())
}

/// The profiles of `recipients`, with the fields that the request set as of `at`; in order. `ahead` is what was read ahead of them,
/// if the request sets nothing.
pub(crate) async fn resolve(
    profiles: &Profiles,
    archive: &Archive,
    app: &AppId,
    recipients: &[(RecipientId, ProfilePatch)],
    at: Timestamp,
    ahead: Vec<HotProfile>,
) -> Result<Vec<Profile>, ProfileError> {
    let sets_nothing = recipients.iter().all(|(_, patch)| patch.is_empty());
    let mut hot = match sets_nothing {
        true if ahead.len() == recipients.len() => ahead,
        true => profiles.read(app, &recipients.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>()).await?,
        false => profiles.resolve(app, recipients, at).await?,
    };
    let open: Vec<usize> = (0..hot.len()).filter(|i| !hot[*i].complete).collect();
    if !open.is_empty() {
        let ids: Vec<RecipientId> = open.iter().map(|i| recipients[*i].0.clone()).collect();
        let mut records: HashMap<RecipientId, Profile> = archive.find_profiles(app, &ids).await?;
        let records: Vec<_> = ids.into_iter().map(|id| (id.clone(), records.remove(&id).unwrap_or_default())).collect();
        for (i, completed) in open.into_iter().zip(profiles.complete(app, &records).await?) {
            hot[i] = completed;
        }
    }
    // What the request says holds for it, even if a later request has set something else meanwhile.
    Ok(hot
        .into_iter()
        .zip(recipients)
        .map(|(hot, (_, patch))| {
            let mut profile = hot.profile;
            patch.apply(&mut profile);
            profile
        })
        .collect())
}
