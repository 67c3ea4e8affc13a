//! A visit: who looks, and at which app.

use std::sync::PoisonError;

use axum::{
    extract::FromRequestParts,
    http::{Uri, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use stentor_archive::{DONE, Deed};
use stentor_domain::AppId;

use super::{
    guard::away,
    page::{Failure, Section, Shell},
    session::{Session, Sql},
};
use crate::{problem::ApiError, state::ApiState};

/// How many apps the picker offers by itself. Where there are more, one is looked for by typing.
const OFFERED: usize = 50;

/// Who looks, and at which app. Pages take it as an extractor.
#[derive(Clone)]
pub(crate) struct Visit {
    /// Their session.
    pub session: Session,
    /// The first apps, by id; one more than the picker offers.
    apps: Vec<AppId>,
    /// The one that the address names; `None`: none.
    picked: Option<AppId>,
    /// The path of the page.
    path: String,
    /// What the last page left to say.
    note: Option<String>,
    /// Whether SQL answers.
    pub sql: Sql,
}

impl Visit {
    pub(super) async fn new(state: &ApiState, session: Session, sql: Sql, uri: &Uri, in_part: bool) -> Result<Self, Failure> {
        let query = uri.query().unwrap_or_default();
        let named = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "app").map(|(_, app)| app);
        let named = named.filter(|app| !app.is_empty());
        let apps = match sql {
            Sql::Answers => {
                let apps: Vec<AppId> =
                    state.archive.page_of_apps("", None, OFFERED + 1).await?.into_iter().map(|app| app.id).collect();
                state.seen_apps.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&apps);
                apps
            }
            Sql::IsAway => state.seen_apps.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        let picked = match named {
            None => None,
            Some(name) => {
                let id: AppId = name.parse().map_err(|_| ApiError::not_found_at_all("app"))?;
                if sql == Sql::Answers && !apps.contains(&id) && state.archive.find_app(&id).await?.is_none() {
                    return Err(ApiError::not_found_at_all("app").into());
                }
                Some(id)
            }
        };
        let note = if in_part { None } else { session.take_note(state.redis.clone()).await };
        Ok(Self { session, apps, picked, path: uri.path().to_owned(), note, sql })
    }

    /// The path of the page.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The app that the address names, if it names one: for pages that can show all of them.
    pub(crate) fn picked(&self) -> Option<&AppId> {
        self.picked.as_ref()
    }

    /// The app to look at: the one that the address names, or the only one. Of several none is taken by itself, for whoever meant
    /// another would look at the wrong one, or change it.
    fn one_app(&self) -> Option<&AppId> {
        self.picked.as_ref().or_else(|| self.apps.first().filter(|_| self.apps.len() == 1))
    }

    /// True if this is about one app and the address does not say which of several.
    pub(super) fn is_to_pick(&self) -> bool {
        Section::at(&self.path).is_of_app() && self.apps.len() > 1 && self.picked.is_none()
    }

    /// The app to look at.
    pub(crate) fn app(&self) -> Result<&AppId, Failure> {
        Ok(self.app_or_error()?)
    }

    /// The same, for who answers in JSON.
    pub(crate) fn app_or_error(&self) -> Result<&AppId, ApiError> {
        self.one_app().ok_or_else(|| {
            if self.sql == Sql::IsAway {
                return away();
            }
            if !self.apps.is_empty() {
                return ApiError::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, "no_app_picked", "pick an app first");
            }
            let detail = "there is no app yet: make one with `stentor app create NAME`";
            ApiError::new(axum::http::StatusCode::NOT_FOUND, "no_app", detail)
        })
    }

    /// The app to look at, or else any: for what is one for all apps, and has to be done for one of them.
    pub(crate) fn any_app(&self) -> Result<&AppId, Failure> {
        self.picked.as_ref().or_else(|| self.apps.first()).map_or_else(|| self.app(), Ok)
    }

    /// What surrounds a page that shows the things of all apps or of one.
    pub(crate) fn shell_of_all(&self, section: Section, title: impl Into<String>) -> Shell {
        let note = self.note.clone();
        Shell {
            title: title.into(),
            section,
            operator: self.session.name.clone(),
            csrf: self.session.csrf.clone(),
            apps: Some(self.apps.clone()).filter(|apps| apps.len() <= OFFERED),
            app: self.picked.clone(),
            can_show_all: true,
            path: self.path.clone(),
            note,
            sql_down: self.sql == Sql::IsAway,
        }
    }

    /// What surrounds a page that shows the things of one app.
    pub(crate) fn shell(&self, section: Section, title: impl Into<String>) -> Shell {
        Shell { app: self.one_app().cloned(), can_show_all: false, ..self.shell_of_all(section, title) }
    }

    /// What surrounds a page that belongs to no app.
    pub(crate) fn shell_of_none(&self, section: Section, title: impl Into<String>) -> Shell {
        self.shell_of_all(section, title)
    }

    /// Does `deed` once it is on record, and adds what came of it. What cannot be put on record is not done. Who dies in between
    /// leaves an entry of which nobody knows whether it was done, and never a deed without an entry.
    pub(crate) async fn on_record<T>(
        &self,
        state: &ApiState,
        app: Option<&AppId>,
        entry: Entry<'_>,
        deed: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, Failure> {
        let entry = Deed {
            at: state.now(),
            operator: Some(self.session.operator.clone()),
            name: self.session.name.clone(),
            app: app.cloned(),
            action: entry.action.to_owned(),
            subject: entry.subject,
            detail: entry.detail,
        };
        let id = state.archive.insert_audit(&entry).await?;
        let done = deed.await;
        let outcome = done.as_ref().map_or_else(ApiError::code, |_| DONE);
        if let Err(error) = state.archive.end_audit(id, outcome).await {
            tracing::warn!(%error, "the audit log does not say what came of a deed");
        }
        Ok(done?)
    }

    /// To `place`, where `note` is said once.
    pub(crate) async fn go(&self, state: &ApiState, place: &str, note: &str) -> Response {
        self.session.leave_note(state.redis.clone(), note).await;
        Redirect::to(place).into_response()
    }
}

/// What is done, and to which.
pub(crate) struct Entry<'a> {
    action: &'a str,
    subject: String,
    detail: Option<String>,
}

impl<'a> Entry<'a> {
    /// `action` is `thing.verb`; the subject is never an address or a secret.
    pub(crate) fn new(action: &'a str, subject: impl Into<String>) -> Self {
        Self { action, subject: subject.into(), detail: None }
    }

    /// What else there is to say.
    pub(crate) fn with(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        // The guard has put it there; without it nobody comes this far.
        let visit = parts.extensions.get::<Self>().cloned();
        visit.ok_or_else(|| ApiError::not_found_at_all("session").into())
    }
}
