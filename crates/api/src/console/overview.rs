//! The first page: what goes out, what waits, what is wrong.

use askama::Template;
use axum::extract::State;

use super::{
    page::{Failure, Page, Section, Shell},
    visit::Visit,
};
use crate::state::ApiState;

#[derive(Template)]
#[template(path = "overview.html")]
pub(super) struct Overview {
    shell: Shell,
}

/// The page.
pub(super) async fn show(State(_state): State<ApiState>, visit: Visit) -> Result<Page<Overview>, Failure> {
    Ok(Page(Overview { shell: visit.shell_of_all(Section::Overview, "Overview") }))
}
