//! The catalog itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use stentor_archive::{Archive, Released, TemplateDraft, TemplateRelease, TemplateTest, TemplateVersion};
use stentor_connection::{Connection, Place};
use stentor_domain::{AppId, Timestamp};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    CatalogError,
    checked::{Checked, Finding, check, compile},
    compiled::{Compiled, Origin, Version},
    files::{Files, hash, is_shared_file, normalised},
    folder::Folder,
    live::Live,
    names::Names,
    shared::SharedTemplates,
    watch::{CHANNEL, watch},
};

/// The most versions of one template of an app.
const MAX_VERSIONS: u32 = 1_000;
/// The most templates of an app.
const MAX_TEMPLATES: u32 = 1_000;
/// How many tests of an app that are no versions are kept, and how long: a mail is tried for that long.
const MAX_TESTS: u64 = 200;
const TESTS_LIVE: Duration = Duration::from_hours(7 * 24);
/// How many sets of files are compiled at once: it is work for a processor.
const COMPILING: usize = 2;

/// Templates by app, key and version. A cheap handle.
#[derive(Clone)]
pub struct Catalog(Arc<Inner>);

struct Inner {
    archive: Archive,
    redis: Connection,
    shared: RwLock<Arc<SharedTemplates>>,
    live: Arc<Live>,
    names: Names,
    compiled: Compiled,
    compiling: Arc<Semaphore>,
}

/// A template that an app can name.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// What is live.
    pub live: Result<Arc<Version>, CatalogError>,
    /// Whether the app's own hides a shared one.
    pub overrides: bool,
}

/// A version that was put on record.
#[derive(Clone, Debug)]
pub struct Put {
    /// The version.
    pub version: TemplateVersion,
    /// What its author should know of it.
    pub findings: Vec<Finding>,
}

impl Catalog {
    /// A catalog over `shared`, which is put on record, and what apps have published. It hears of what other processes publish
    /// until `stop`.
    pub async fn start(
        place: Place,
        redis: Connection,
        archive: Archive,
        shared: SharedTemplates,
        now: Timestamp,
        stop: CancellationToken,
    ) -> Result<Self, CatalogError> {
        let (live, names) = (Arc::new(Live::new(archive.clone())), Names::new(archive.clone()));
        record(&archive, &shared, now).await?;
        tokio::spawn(watch(place, live.clone(), stop));
        let compiling = Arc::new(Semaphore::new(COMPILING));
        let shared = RwLock::new(Arc::new(shared));
        Ok(Self(Arc::new(Inner { archive, redis, shared, live, names, compiled: Compiled::new(), compiling })))
    }

    /// What `app` is called, as its mails say it. A new name is known everywhere within a minute.
    pub async fn app_name(&self, app: &AppId) -> Arc<str> {
        self.0.names.of(app).await
    }

    fn shared(&self) -> Arc<SharedTemplates> {
        self.0.shared.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the shared templates anew; those that cannot be used stay as they were. Gives the keys of those that changed, and
    /// what is wrong.
    pub async fn reload_shared(&self, folder: Folder, now: Timestamp) -> Result<(Vec<String>, Vec<Finding>), CatalogError> {
        let before = self.shared();
        let (shared, findings) = SharedTemplates::reload(folder, &before);
        let differs =
            |(key, version): &(&String, &Arc<Version>)| before.versions.get(*key).is_none_or(|v| v.hash != version.hash);
        let mut changed: Vec<String> = shared.versions.iter().filter(differs).map(|(key, _)| key.clone()).collect();
        changed.extend(before.versions.keys().filter(|key| !shared.versions.contains_key(*key)).cloned());
        self.replace_shared(shared, now).await?;
        Ok((changed, findings))
    }

    /// Puts other shared templates in the place of these. Notifications accepted with these are still written with these.
    pub async fn replace_shared(&self, shared: SharedTemplates, now: Timestamp) -> Result<(), CatalogError> {
        record(&self.0.archive, &shared, now).await?;
        *self.0.shared.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shared);
        Ok(())
    }

    /// What `app` says under `key` today: its own, else the shared one.
    pub async fn find(&self, app: &AppId, key: &str) -> Result<Option<Arc<Version>>, CatalogError> {
        match self.0.live.of(app).await?.get(key) {
            Some(hash) => self.load(Some(app), key, hash).await.map(Some),
            None => Ok(self.find_shared(key)),
        }
    }

    /// The shared template of that key.
    pub fn find_shared(&self, key: &str) -> Option<Arc<Version>> {
        self.shared().versions.get(key).cloned()
    }

    /// Exactly this version, of the app's own or of a shared template.
    pub async fn version(&self, app: &AppId, key: &str, hash: &str) -> Result<Arc<Version>, CatalogError> {
        if let Some(shared) = self.find_shared(key).filter(|version| version.hash == hash) {
            return Ok(shared);
        }
        if let Some(kept) = self.0.compiled.find(None, key, hash).await {
            return Ok(kept);
        }
        match self.load(Some(app), key, hash).await {
            Err(CatalogError::Gone { .. }) => self.load(None, key, hash).await,
            found => found,
        }
    }

    /// A version by the name that people use: `live`, `shared`, its number, or the beginning of its hash (8 letters or more).
    pub async fn named(&self, app: &AppId, key: &str, name: &str) -> Result<Option<Arc<Version>>, CatalogError> {
        match name {
            "live" => return self.find(app, key).await,
            "shared" => return Ok(self.find_shared(key)),
            _ => {}
        }
        match self.find_version(app, key, name).await? {
            Some((own, version)) => self.load(own.then_some(app), key, &version.hash).await.map(Some),
            None => Ok(None),
        }
    }

    /// What is on record of a version by its number or the beginning of its hash, and whether it is the app's own.
    pub async fn find_version(
        &self,
        app: &AppId,
        key: &str,
        name: &str,
    ) -> Result<Option<(bool, TemplateVersion)>, CatalogError> {
        let archive = &self.0.archive;
        if let Some(number) = name.parse::<u32>().ok().filter(|_| name.len() < 8) {
            let found = archive.find_template_version_by_number(Some(app), key, number).await?;
            return Ok(found.map(|version| (true, version)));
        }
        if name.len() < 8 {
            return Ok(None);
        }
        for (own, scope) in [(true, Some(app)), (false, None)] {
            let all = archive.list_template_versions(scope, key, None, MAX_VERSIONS as usize).await?;
            let mut found = all.into_iter().filter(|version| version.hash.starts_with(name));
            if let (Some(version), None) = (found.next(), found.next()) {
                return Ok(Some((own, version)));
            }
        }
        Ok(None)
    }

    async fn load(&self, app: Option<&AppId>, key: &str, hash: &str) -> Result<Arc<Version>, CatalogError> {
        match self.0.compiled.find(app, key, hash).await {
            Some(kept) => Ok(kept),
            None => Box::pin(self.load_anew(app, key, hash)).await, // 10 KiB that requests would be moved with
        }
    }

    async fn load_anew(&self, app: Option<&AppId>, key: &str, hash: &str) -> Result<Arc<Version>, CatalogError> {
        let load = async {
            let files = match (self.0.archive.find_template_files(app, key, hash).await?, app) {
                (None, Some(app)) => self.0.archive.find_template_test(app, key, hash).await?,
                (files, _) => files,
            };
            let (key, hash) = (key.to_owned(), hash.to_owned());
            let files = files.ok_or_else(|| CatalogError::Gone { key: key.clone(), hash: hash.clone() })?;
            let origin = if app.is_some() { Origin::Own } else { Origin::Shared };
            let (files, template) = self.working(key.clone(), files, |key, files| compile(key, files, &Files::new())).await?;
            match template {
                Ok(template) => Ok(Version { origin, hash, files, template }),
                Err(findings) => {
                    let first = findings.first().map(|f| format!("{}: {}", f.file, f.message)).unwrap_or_default();
                    Err(CatalogError::Unreadable { key, hash, first })
                }
            }
        };
        self.0.compiled.find_or_load(app, key, hash, load).await.map_err(|error| CatalogError::clone(&error))
    }

    /// Does something with files on a thread that may take its time; only a few at once.
    async fn working<T: Send + 'static>(
        &self,
        key: String,
        files: Files,
        work: impl FnOnce(&str, &Files) -> T + Send + 'static,
    ) -> Result<(Files, T), CatalogError> {
        let turn = self.0.compiling.clone().acquire_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            // Kept until it is done, even if whoever asked is gone: that does not end the work.
            let _turn = turn;
            let done = work(&key, &files);
            (files, done)
        });
        done.await.map_err(|error| {
            tracing::error!(%error, "a template broke its compiler");
            CatalogError::Invalid(Vec::new())
        })
    }

    /// The files with the layouts and partials that they do not bring themselves: what a version is made of.
    fn completed(&self, files: Files) -> Files {
        let mut all = self.shared().base.clone();
        all.extend(normalised(files));
        all
    }

    /// Looks at files that are not on record, as they would be published.
    pub async fn check(&self, key: &str, files: Files) -> Result<(Files, Checked), CatalogError> {
        self.working(key.to_owned(), self.completed(files), |key, files| check(key, files, &Files::new())).await
    }

    /// Puts the files of a template on record, as a draft or (`good`) only if lint finds no error; it is not live by that.
    pub async fn put(&self, app: &AppId, key: &str, files: Files, good: bool, now: Timestamp) -> Result<Put, CatalogError> {
        let (files, checked) = self.check(key, files).await?;
        if checked.template.is_none() || good && !checked.is_good() {
            return Err(CatalogError::Invalid(checked.findings));
        }
        let archive = &self.0.archive;
        if archive.count_templates(app).await? >= u64::from(MAX_TEMPLATES)
            && archive.list_template_versions(Some(app), key, None, 1).await?.is_empty()
        {
            return Err(CatalogError::Full { what: "templates", most: MAX_TEMPLATES });
        }
        let version = archive.put_template_version(Some(app), key, &hash(&files), &files, MAX_VERSIONS, now).await?;
        let version = version.ok_or(CatalogError::Full { what: "versions of this template", most: MAX_VERSIONS })?;
        Ok(Put { version, findings: checked.findings })
    }

    /// Keeps the files of a test for as long as it may be on its way. They are no version of the template, unless they were before.
    pub async fn put_test(&self, app: &AppId, key: &str, files: Files, now: Timestamp) -> Result<Arc<Version>, CatalogError> {
        let (files, checked) = self.check(key, files).await?;
        if checked.template.is_none() {
            return Err(CatalogError::Invalid(checked.findings));
        }
        let (archive, hash) = (&self.0.archive, hash(&files));
        if archive.find_template_version(Some(app), key, &hash).await?.is_none() {
            let test = TemplateTest { key, hash: &hash, files: &files, until: now.after(TESTS_LIVE) };
            archive.put_template_test(app, test, MAX_TESTS, now).await?;
        }
        self.version(app, key, &hash).await
    }

    /// Makes a version live, or with `None` the shared template. With `expected`: only if that is live now. Every process says
    /// so from then on; one that misses the message, ten seconds later.
    pub async fn release(
        &self,
        app: &AppId,
        key: &str,
        hash: Option<&str>,
        expected: Option<Option<&str>>,
        now: Timestamp,
    ) -> Result<u32, CatalogError> {
        let number = match self.0.archive.release_template(app, key, hash, expected, now).await? {
            Released::Done(number) => number,
            Released::Conflict { live } => return Err(CatalogError::Conflict { live }),
        };
        self.0.live.forget(app);
        let mut redis = self.0.redis.clone();
        let told = redis::cmd(redis.publishing()).arg(CHANNEL).arg(app.as_str()).query_async::<()>(&mut redis).await;
        if let Err(error) = told {
            tracing::warn!(%error, "other processes were not told of a published template; they look within seconds");
        }
        Ok(number)
    }

    /// The templates that `app` can name, by key; those after `after`.
    pub async fn list(&self, app: &AppId, after: Option<&str>, limit: usize) -> Result<Vec<Listed>, CatalogError> {
        let (shared, live) = (self.shared(), self.0.live.of(app).await?);
        let keys: BTreeSet<&String> = shared.versions.keys().chain(live.keys()).collect();
        let mut all = Vec::new();
        for key in keys.into_iter().filter(|key| after.is_none_or(|after| key.as_str() > after)).take(limit) {
            let own = live.get(key);
            let version = match (own, shared.versions.get(key)) {
                (Some(hash), _) => self.load(Some(app), key, hash).await,
                (None, Some(version)) => Ok(version.clone()),
                (None, None) => continue,
            };
            if let Err(error @ CatalogError::Archive(_)) = version {
                return Err(error);
            }
            all.push(Listed { key: key.clone(), live: version, overrides: own.is_some() && shared.versions.contains_key(key) });
        }
        Ok(all)
    }

    /// What `app` keeps under keys that requests cannot name, since nothing of theirs is live; by key, those after `after`.
    pub async fn drafts(&self, app: &AppId, after: Option<&str>, limit: usize) -> Result<Vec<TemplateDraft>, CatalogError> {
        let shared = self.shared();
        let mut drafts = self.0.archive.list_template_drafts(app).await?;
        drafts.retain(|draft| !shared.versions.contains_key(&draft.key) && after.is_none_or(|after| draft.key.as_str() > after));
        drafts.sort_unstable_by(|a, b| a.key.cmp(&b.key)); // as `list` does; a database may have another order
        drafts.truncate(limit);
        Ok(drafts)
    }

    /// The keys of all templates that `app` can name.
    pub async fn keys(&self, app: &AppId) -> Result<BTreeSet<String>, CatalogError> {
        let live = self.0.live.of(app).await?;
        Ok(self.shared().versions.keys().chain(live.keys()).cloned().collect())
    }

    /// Which version of the app's own template is live; `None`: the shared one shows through, or there is none.
    pub async fn live_hash(&self, app: &AppId, key: &str) -> Result<Option<String>, CatalogError> {
        Ok(self.0.live.of(app).await?.get(key).cloned())
    }

    /// Versions of the app's own template, the newest first; those before number `before`.
    pub async fn list_versions(
        &self,
        app: &AppId,
        key: &str,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Vec<TemplateVersion>, CatalogError> {
        Ok(self.0.archive.list_template_versions(Some(app), key, before, limit).await?)
    }

    /// The latest moves of the live pointer, the newest first.
    pub async fn list_releases(&self, app: &AppId, key: &str, limit: usize) -> Result<Vec<TemplateRelease>, CatalogError> {
        Ok(self.0.archive.list_template_releases(app, key, limit).await?)
    }

    /// A version's own files, and those that templates share.
    pub fn parts(files: &Files) -> (BTreeMap<&str, &str>, BTreeMap<&str, &str>) {
        files.iter().map(|(path, text)| (path.as_str(), text.as_str())).partition(|(path, _)| !is_shared_file(path))
    }
}

/// Puts shared templates on record.
async fn record(archive: &Archive, shared: &SharedTemplates, now: Timestamp) -> Result<(), CatalogError> {
    for (key, version) in &shared.versions {
        if archive.find_template_version(None, key, &version.hash).await?.is_none() {
            archive.put_template_version(None, key, &version.hash, &version.files, u32::MAX, now).await?;
        }
    }
    Ok(())
}
