//! The console: what operators look at and act with, rendered on the server and embedded in the binary.
//!
//! An operator signs in with a key that `stentor operator create` made; the session lives in Redis under the hash of a
//! `__Host-` cookie. [`guard`] stands before every page: it knows who visits, refuses what another site sent, and puts the
//! headers on. A page takes a [`Visit`] (who, which app), asks one thing, and renders one template; what changes something
//! does so by [`Visit::on_record`]. An operator sees every app; whatever is asked of an app's things is scoped by the picked one.
#![allow(clippy::unused_self, clippy::trivially_copy_pass_by_ref, reason = "templates call methods and pass references")]

mod apps;
mod asked;
mod assets;
mod audit;
mod chart;
mod dead_letters;
mod guard;
mod keys;
mod live;
mod login;
mod notification;
mod notifications;
mod overview;
mod page;
mod providers;
mod queues;
mod recipients;
mod rendered;
mod session;
mod settings;
mod templates;
mod topics;
mod visit;
mod words;

use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
    routing::{any, get, post},
};

use crate::{rest, state::ApiState};

pub(crate) use visit::Visit;

pub use live::Feed;

/// The console's routes.
pub(crate) fn routes(state: &ApiState) -> Router<ApiState> {
    let open = Router::new()
        .route("/console/login", get(login::show).post(login::begin))
        .route("/console/assets/{name}", get(assets::get));
    let of_sql = Router::new()
        .route("/console/notifications", get(notifications::list))
        .route("/console/notifications/{id}", get(notification::show))
        .route("/console/notifications/{id}/recall", post(notification::recall))
        .route("/console/notifications/{id}/send-again", post(notification::send_again))
        .route("/console/notifications/{id}/rendered", get(rendered::show))
        .route("/console/notifications/{id}/html", get(rendered::html))
        .route("/console/dead-letters", post(dead_letters::decide))
        .route("/console/recipients", get(recipients::list))
        .route("/console/recipients/{id}", get(recipients::show))
        .route("/console/recipients/{id}/addresses", post(recipients::reveal))
        .route("/console/recipients/{id}/suppressions/{suppression}/lift", post(recipients::lift))
        .route("/console/topics", get(topics::list))
        .route("/console/topics/{id}", get(topics::show))
        .route("/console/providers/test", post(providers::test))
        .route("/console/keys", get(keys::list).post(keys::create))
        .route("/console/keys/{id}/revoke", post(keys::revoke))
        .route("/console/audit", get(audit::list))
        .route("/console/apps", get(apps::list))
        .route("/console/apps/offered", get(apps::offered))
        .route_layer(from_fn(guard::with_sql));
    let closed = Router::new()
        .route("/console", get(overview::show))
        .route("/console/live", get(overview::live))
        .route("/console/logout", post(login::end))
        .route("/console/queues", get(queues::show))
        .route("/console/dead-letters", get(dead_letters::list))
        .route("/console/providers", get(providers::list))
        .route("/console/providers/test/{channel}/{id}", get(providers::tested))
        .route("/console/settings", get(settings::show))
        .route("/console/templates", get(templates::list))
        .route("/console/templates/{key}", get(templates::studio))
        .merge(of_sql)
        .merge(templates::api(state, rest::templates_router().into()))
        .route("/console/{*rest}", any(page::nothing))
        .route_layer(from_fn_with_state(state.clone(), guard::admit));
    open.merge(closed).route_layer(from_fn(guard::protect))
}
