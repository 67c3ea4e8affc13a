//! Pages: what surrounds each, how one is answered, and what is shown where one cannot be.

use std::sync::Arc;

use askama::Template;
use axum::{
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use stentor_domain::AppId;

use super::{assets, visit::Visit};
use crate::problem::ApiError;

/// The parts of the console, as the navigation lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Notifications,
    Recipients,
    Topics,
    Templates,
    Apps,
    Queues,
    DeadLetters,
    Providers,
    Keys,
    Settings,
    Audit,
}

impl Section {
    /// The groups of the navigation.
    const GROUPS: &[(&str, &[Self])] = &[
        ("", &[Self::Overview]),
        ("App", &[Self::Notifications, Self::Recipients, Self::Topics, Self::Templates, Self::Keys]),
        ("Platform", &[Self::Apps, Self::Queues, Self::DeadLetters, Self::Providers, Self::Settings, Self::Audit]),
    ];

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Overview => "/console",
            Self::Notifications => "/console/notifications",
            Self::Recipients => "/console/recipients",
            Self::Topics => "/console/topics",
            Self::Templates => "/console/templates",
            Self::Apps => "/console/apps",
            Self::Queues => "/console/queues",
            Self::DeadLetters => "/console/dead-letters",
            Self::Providers => "/console/providers",
            Self::Keys => "/console/keys",
            Self::Settings => "/console/settings",
            Self::Audit => "/console/audit",
        }
    }

    /// True if it is about one app.
    pub(super) fn is_of_app(self) -> bool {
        matches!(self, Self::Notifications | Self::Recipients | Self::Topics | Self::Templates | Self::Keys)
    }

    /// The part that a path belongs to.
    pub(super) fn at(path: &str) -> Self {
        let all = Self::GROUPS.iter().flat_map(|(_, sections)| sections.iter().copied());
        all.filter(|section| path.starts_with(section.path()))
            .max_by_key(|section| section.path().len())
            .unwrap_or(Self::Overview)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Notifications => "Notifications",
            Self::Recipients => "Recipients",
            Self::Topics => "Topics",
            Self::Templates => "Templates",
            Self::Apps => "Apps",
            Self::Queues => "Queues",
            Self::DeadLetters => "Dead letters",
            Self::Providers => "Providers",
            Self::Keys => "Keys",
            Self::Settings => "Settings",
            Self::Audit => "Audit log",
        }
    }
}

/// What surrounds a page.
pub(crate) struct Shell {
    pub title: String,
    pub section: Section,
    pub operator: String,
    pub csrf: String,
    /// What the picker offers by itself: every app; `None`: they are too many, and looked for by typing.
    pub apps: Option<Vec<AppId>>,
    /// The app that is looked at; `None`: all.
    pub app: Option<AppId>,
    pub can_show_all: bool,
    pub path: String,
    /// What the last action came to.
    pub note: Option<String>,
    pub sql_down: bool,
}

impl Shell {
    /// The address of an embedded file, which changes with its content.
    pub(crate) fn asset(&self, name: &str) -> String {
        assets::address(name)
    }

    /// A path with the app that is looked at.
    pub(crate) fn link(&self, path: &str) -> String {
        self.app.as_ref().map_or_else(|| path.to_owned(), |app| format!("{path}?app={app}"))
    }

    /// The page of one thing, with the app that is looked at.
    pub(crate) fn link_to(&self, path: &str, id: &str) -> String {
        self.link(&format!("{path}{}", super::words::step(id)))
    }

    pub(crate) fn groups(&self) -> &'static [(&'static str, &'static [Section])] {
        Section::GROUPS
    }
}

/// A rendered template.
pub(crate) struct Page<T>(pub T);

impl<T: Template> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        match self.0.render() {
            Ok(html) => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response(),
            Err(error) => Failure::from(ApiError::unavailable("the page", error)).into_response(),
        }
    }
}

/// What a page could not do. The guard shows it in place of the page, or of the part that was asked for.
#[derive(Clone)]
pub(crate) struct Failure(Arc<ApiError>);

impl<E: Into<ApiError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(Arc::new(error.into()))
    }
}

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage<'a> {
    shell: Shell,
    title: &'a str,
    detail: &'a str,
    errors: &'a [stentor_domain::Violation],
}

#[derive(Template)]
#[template(path = "failure_alone.html")]
struct FailureAlone<'a> {
    css: String,
    tokens: String,
    title: &'a str,
    detail: &'a str,
}

#[derive(Template)]
#[template(path = "failure_part.html")]
struct FailurePart<'a> {
    detail: &'a str,
    errors: &'a [stentor_domain::Violation],
}

impl Failure {
    pub(super) fn status(&self) -> StatusCode {
        self.0.status()
    }

    fn title(&self) -> &'static str {
        match self.0.status() {
            StatusCode::NOT_FOUND => "Not here",
            StatusCode::FORBIDDEN => "Refused",
            StatusCode::SERVICE_UNAVAILABLE => "Not now",
            _ => "That did not work",
        }
    }

    /// The detail as a sentence: what programs are told begins small and has no end.
    fn said(&self) -> String {
        let mut letters = self.0.detail().chars();
        let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
        let end = if self.0.detail().ends_with(['.', '!', '?']) { "" } else { "." };
        format!("{first}{}{end}", letters.as_str())
    }

    fn answer(&self, page: impl Template) -> Response {
        self.0.log();
        let html = page.render().unwrap_or_else(|_| self.said());
        (self.0.status(), [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
    }

    /// As a page in the console, in the part of it where it happened.
    pub(super) fn within(&self, visit: &Visit) -> Response {
        let (mut shell, detail) = (visit.shell_of_all(Section::at(visit.path()), self.title()), self.said());
        shell.sql_down &= !detail.contains("(SQL)"); // it is said once
        self.answer(FailurePage { shell, title: self.title(), detail: &detail, errors: self.0.errors() })
    }

    /// As a page by itself, for who is not signed in.
    pub(super) fn alone(&self) -> Response {
        let (css, tokens) = (assets::address("console.css"), assets::address("tokens.css"));
        self.answer(FailureAlone { css, tokens, title: self.title(), detail: &self.said() })
    }

    /// As a line in the place of what was asked for.
    pub(super) fn in_part(&self) -> Response {
        self.answer(FailurePart { detail: &self.said(), errors: self.0.errors() })
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.0.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[derive(Template)]
#[template(path = "which_app.html")]
struct WhichApp<'a> {
    shell: Shell,
    /// The page that was asked for, up to where the app is named.
    place: &'a str,
}

/// Asks which app a page is to be about; each answer leads to what was asked for.
pub(super) fn which_app(visit: &Visit, uri: &Uri) -> Response {
    let section = Section::at(visit.path());
    let kept = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).filter(|(name, _)| name != "app");
    let kept = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish();
    let place = if kept.is_empty() { format!("{}?app=", uri.path()) } else { format!("{}?{kept}&app=", uri.path()) };
    Page(WhichApp { shell: visit.shell_of_all(section, section.name()), place: &place }).into_response()
}

#[derive(Template)]
#[template(path = "again.html")]
struct Again<'a> {
    place: &'a str,
}

/// A page that asks for `place` again, from here.
pub(super) fn again(place: &str) -> Response {
    Page(Again { place }).into_response()
}

/// There is no such page.
pub(super) async fn nothing() -> Failure {
    let detail = "There is no such page. The navigation lists what there is.";
    ApiError::new(StatusCode::NOT_FOUND, "no_such_path", detail).into()
}

impl ApiError {
    /// 404 of something that belongs to no app.
    pub(super) fn not_found_at_all(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }
}
