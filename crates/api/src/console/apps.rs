//! Apps: which there are, found by typing, and the way into one.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use stentor_archive::App;
use stentor_domain::AppId;

use super::{
    asked::Query,
    page::{Failure, Page, Section, Shell},
    visit::Visit,
    words::address,
};
use crate::state::ApiState;

/// How many apps a page has, and how many are offered while somebody types.
const PAGE: usize = 50;
const OFFERED: usize = 20;

/// What is looked for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// What an id or a name contains.
    find: String,
    /// The same, or the id itself, which is then opened: the picker's field.
    open: String,
    /// From where on.
    after: Option<AppId>,
    /// Which part of the console is to show the app that is picked.
    to: String,
}

impl Wanted {
    /// What is typed, in whichever field.
    fn text(&self) -> &str {
        let open = self.open.trim();
        if open.is_empty() { self.find.trim() } else { open }
    }
}

#[derive(Template)]
#[template(path = "apps.html")]
#[expect(clippy::struct_field_names, reason = "the page of apps shows apps")]
pub(super) struct Apps {
    shell: Shell,
    find: String,
    to: &'static str,
    apps: Vec<App>,
    next: Option<String>,
}

impl Apps {
    fn open(&self, app: &App) -> String {
        address(self.to, &[("app", app.id.as_str())])
    }
}

/// The list, by id; or straight to the app that is named in full.
pub(super) async fn list(State(state): State<ApiState>, visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, Failure> {
    // A part of the console, whatever is written there.
    let to = match Section::at(&wanted.to) {
        Section::Apps => Section::Overview,
        part => part,
    };
    if let Ok(id) = wanted.open.trim().parse::<AppId>()
        && state.archive.find_app(&id).await?.is_some()
    {
        return Ok(Redirect::to(&address(to.path(), &[("app", id.as_str())])).into_response());
    }
    let find = wanted.text().to_owned();
    let mut apps = state.archive.page_of_apps(&find, wanted.after.as_ref(), PAGE + 1).await?;
    let more = apps.len() > PAGE;
    apps.truncate(PAGE);
    let place = |after: &App| {
        let picked = visit.picked().map_or("", AppId::as_str);
        address("/console/apps", &[("app", picked), ("to", &wanted.to), ("find", &find), ("after", after.id.as_str())])
    };
    let next = apps.last().filter(|_| more).map(place);
    let shell = visit.shell_of_all(Section::Apps, "Apps");
    Ok(Page(Apps { shell, find, to: to.path(), apps, next }).into_response())
}

#[derive(Template)]
#[template(path = "apps_part.html")]
pub(super) struct Offered {
    apps: Vec<App>,
}

/// What the picker offers while somebody types.
pub(super) async fn offered(State(state): State<ApiState>, Query(wanted): Query<Wanted>) -> Result<Page<Offered>, Failure> {
    Ok(Page(Offered { apps: state.archive.page_of_apps(wanted.text(), None, OFFERED).await? }))
}
