//! Templates: which there are, and the studio, in which authors write one and see it on every channel.
//!
//! The studio speaks to the same handlers as business systems do, under `/console/api`: there the guard vouches for who calls,
//! in the place of an app key.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, Request, State},
    http::{HeaderValue, Method, Uri, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use stentor_archive::TemplateDraft;
use stentor_catalog::{Listed, Origin};
use stentor_domain::AppId;

use super::{
    asked::{Path, Query},
    page::{Failure, Page, Section, Shell},
    visit::{Entry, Visit},
    words::address,
};
use crate::{problem::ApiError, rest::check_key, state::ApiState};

/// What the console's policy allows, and inline styles and pictures from elsewhere: a frame without scripts (`sandbox=""`) with
/// `srcdoc` has the policy of its page, and mails are made of these. Scripts are ours alone here, too.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; \
                      img-src 'self' https: http: data:; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// How many templates a page has.
const PAGE: usize = 50;

/// A row of the list.
struct Row {
    key: String,
    title: String,
    locales: String,
    channels: String,
    standing: Standing,
}

/// Whose a template is, and whether requests can name it.
enum Standing {
    Shared,
    Own,
    /// The app's own hides a shared one.
    Over,
    /// This program cannot read it, and why.
    Unreadable(String),
    Draft,
    /// Nothing of it is live any more.
    Withdrawn,
}

impl Row {
    fn of(listed: Listed) -> Self {
        let join = |words: Vec<String>| words.join(", ");
        match listed.live {
            Ok(version) => Self {
                key: listed.key,
                title: version.template.title().to_owned(),
                locales: join(version.template.locales().map(ToString::to_string).collect()),
                channels: join(version.template.channels().iter().map(ToString::to_string).collect()),
                standing: match version.origin {
                    Origin::Own if listed.overrides => Standing::Over,
                    Origin::Own => Standing::Own,
                    Origin::Shared => Standing::Shared,
                },
            },
            Err(error) => Self::untitled(listed.key, Standing::Unreadable(error.to_string())),
        }
    }

    /// One of which nothing is known but its key.
    fn untitled(key: String, standing: Standing) -> Self {
        Self { title: key.clone(), key, locales: String::new(), channels: String::new(), standing }
    }
}

#[derive(Template)]
#[template(path = "templates.html")]
pub(super) struct List {
    shell: Shell,
    rows: Vec<Row>,
    next: Option<String>,
}

/// What the list is asked for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// A new template is to be made.
    make: String,
    /// Those after this key.
    after: String,
}

/// Every template that the app can name, and its drafts; or, on to a new one.
pub(super) async fn list(State(state): State<ApiState>, visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, Failure> {
    if !wanted.make.is_empty() {
        check_key(&wanted.make)?;
        let app = visit.app()?;
        return Ok(Redirect::to(&format!("/console/templates/{}?app={app}&new", wanted.make)).into_response());
    }
    let app = visit.app()?;
    let after = Some(wanted.after.as_str()).filter(|after| !after.is_empty());
    let named = state.templates.list(app, after, PAGE + 1).await.map_err(ApiError::from)?;
    let drafts = state.templates.drafts(app, after, PAGE + 1).await.map_err(ApiError::from)?;
    // Each has a whole page and one more, by key: so has what both make together.
    let drafts = drafts
        .into_iter()
        .map(|TemplateDraft { key, was_live }| Row::untitled(key, if was_live { Standing::Withdrawn } else { Standing::Draft }));
    let rows = drafts.chain(named.into_iter().map(Row::of)).map(|row| (row.key.clone(), row));
    let mut rows: Vec<Row> = rows.collect::<BTreeMap<_, _>>().into_values().collect();
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let last = rows.last().filter(|_| more);
    let next = last.map(|last| address("/console/templates", &[("app", app.as_str()), ("after", &last.key)]));
    let shell = visit.shell(Section::Templates, "Templates");
    Ok(Page(List { shell, rows, next }).into_response())
}

#[derive(Template)]
#[template(path = "studio.html")]
struct Studio {
    shell: Shell,
    key: String,
    app: AppId,
}

/// The studio of one template.
pub(super) async fn studio(
    State(state): State<ApiState>,
    visit: Visit,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    check_key(&key)?;
    let app = visit.app()?.clone();
    let is_new = query.as_deref().unwrap_or_default().split('&').any(|pair| pair == "new");
    // One that this program cannot read is opened all the same: there it is mended.
    if !is_new
        && matches!(state.templates.find(&app, &key).await, Ok(None))
        && state.templates.list_versions(&app, &key, None, 1).await.map_err(ApiError::from)?.is_empty()
    {
        return Err(ApiError::not_found("template").into());
    }
    let shell = visit.shell(Section::Templates, key.clone());
    let mut response = Page(Studio { shell, key, app }).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(response)
}

/// The API of templates for who is signed in. What changes something is put on record first.
pub(super) fn api(state: &ApiState, routes: Router<ApiState>) -> Router<ApiState> {
    Router::new().nest("/console/api", routes).route_layer(from_fn_with_state(state.clone(), on_record))
}

async fn on_record(State(state): State<ApiState>, visit: Visit, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut steps = path.rsplit('/');
    let (last, before) = (steps.next().unwrap_or_default(), steps.next().unwrap_or_default());
    let deed = match (request.method(), last) {
        (&Method::PUT, key) => Some(("template.put", key)),
        (&Method::POST, "rollback") => Some(("template.rollback", before)),
        (&Method::POST, "test") => Some(("template.test", before)),
        _ => None,
    };
    if let Some(uri) = without_app(request.uri()) {
        *request.uri_mut() = uri;
    }
    let Some((action, key)) = deed else { return next.run(request).await };
    let mut answer = None;
    let act = async {
        let response = next.run(request).await;
        let status = response.status();
        answer = Some(response);
        if status.is_success() { Ok(()) } else { Err(ApiError::new(status, "refused", "")) }
    };
    let _ = visit.on_record(&state, visit.app_or_error().ok(), Entry::new(action, key), act).await; // the answer tells
    answer.unwrap_or_else(|| ApiError::unavailable("the archive (SQL)", "the audit log cannot be written").into_response())
}

/// The address without the app, which the visit has and the API does not know.
fn without_app(uri: &Uri) -> Option<Uri> {
    let pairs = url::form_urlencoded::parse(uri.query()?.as_bytes()).filter(|(name, _)| name != "app");
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let path = uri.path();
    if query.is_empty() { path.parse().ok() } else { format!("{path}?{query}").parse().ok() }
}
