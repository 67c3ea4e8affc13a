//! The console: what operators look at and act with, rendered on the server and embedded in the binary.
//!
//! An operator signs in with a key that `stentor operator create` made; the session lives in Redis under the hash of a
//! `__Host-` cookie. [`guard`] stands before every page: it knows who visits, refuses what another site sent, and puts the
//! headers on. A page takes a [`Visit`] (who, which app), asks one thing, and renders one template; what changes something
//! calls [`Visit::audit`] first. An operator sees every app; whatever is asked of an app's things is scoped by the picked one.

mod assets;
mod audit;
mod guard;
mod login;
mod overview;
mod page;
mod session;
mod templates;
mod visit;

use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
    routing::{any, get, post},
};

use crate::{rest, state::ApiState};

pub(crate) use visit::Visit;

/// The console's routes.
pub(crate) fn routes(state: &ApiState) -> Router<ApiState> {
    let open = Router::new()
        .route("/console/login", get(login::show).post(login::begin))
        .route("/console/assets/{name}", get(assets::get));
    let closed = Router::new()
        .route("/console", get(overview::show))
        .route("/console/logout", post(login::end))
        .route("/console/audit", get(audit::list))
        .route("/console/templates", get(templates::list))
        .route("/console/templates/{key}", get(templates::studio))
        .merge(templates::api(state, rest::templates_router().into()))
        .route("/console/{*rest}", any(page::nothing))
        .route_layer(from_fn_with_state(state.clone(), guard::admit));
    open.merge(closed).route_layer(from_fn(guard::protect))
}
