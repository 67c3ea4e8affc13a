//! REST v1: one file a section of the API table, each handler as short as its line there.

pub(crate) mod accept;
mod callbacks;
pub(crate) mod dead_letters;
mod dry_run;
pub(crate) mod ids;
pub(crate) mod inbox;
mod incoming;
mod mail_callbacks;
pub(crate) mod notifications;
mod operations;
pub(crate) mod page;
mod problems;
pub(crate) mod recipients;
pub(crate) mod suppressions;
mod templates;
pub(crate) mod timeline;
mod topics;

pub use inbox::ItemWithContent;
pub(crate) use templates::check_key;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::state::ApiState;

/// Every REST route but those of an inbox, with its description.
pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(notifications::send))
        .routes(routes!(notifications::send_batch))
        .routes(routes!(notifications::get, notifications::update))
        .routes(routes!(notifications::list_deliveries))
        .routes(routes!(notifications::recall))
        .routes(routes!(timeline::get))
        .routes(routes!(recipients::list))
        .routes(routes!(recipients::put_batch))
        .routes(routes!(recipients::get, recipients::put, recipients::delete))
        .routes(routes!(recipients::put_preferences))
        .routes(routes!(recipients::issue_inbox_token))
        .routes(routes!(recipients::get_inbox))
        .routes(routes!(topics::list))
        .routes(routes!(topics::get, topics::put, topics::delete))
        .routes(routes!(topics::list_members))
        .routes(routes!(topics::put_members))
        .routes(routes!(topics::put_member, topics::delete_member))
        .routes(routes!(topics::list_topics_of))
        .routes(routes!(suppressions::list, suppressions::suppress))
        .routes(routes!(suppressions::lift))
        .routes(routes!(callbacks::sms, callbacks::sms_by_get))
        .routes(routes!(mail_callbacks::email))
        .routes(routes!(incoming::sms, incoming::sms_by_get))
        .routes(routes!(operations::presence))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::replay))
        .routes(routes!(dead_letters::replay_all))
        .routes(routes!(dead_letters::discard))
        .merge(templates_router())
}

/// The routes of people with an inbox, which pages of other sites may ask for.
pub(crate) fn inbox_router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(inbox::list))
        .routes(routes!(inbox::unread))
        .routes(routes!(inbox::content))
        .routes(routes!(inbox::mark_read))
        .routes(routes!(inbox::mark_unread))
        .routes(routes!(inbox::archive))
        .routes(routes!(inbox::unarchive))
        .routes(routes!(inbox::read_all))
        .routes(routes!(inbox::preferences, inbox::put_preferences))
}

/// The routes of templates, which the console's studio speaks to as well.
pub(crate) fn templates_router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(templates::list))
        .routes(routes!(templates::get, templates::put))
        .routes(routes!(templates::list_versions))
        .routes(routes!(templates::preview))
        .routes(routes!(templates::test))
        .routes(routes!(templates::rollback))
        .routes(routes!(templates::compare))
}

/// The routes for operators, which every process answers.
pub(crate) fn operations_router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(operations::live)).routes(routes!(operations::ready)).routes(routes!(operations::metrics))
}
