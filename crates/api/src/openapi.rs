//! The description of the API, made from the code, which `/docs` shows.

use axum::{Router, http::header, routing::get};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
};
use utoipa_axum::router::OpenApiRouter;

use crate::state::ApiState;

#[derive(OpenApi)]
#[openapi(
    info(title = "Stentor", description = "One call, and each person it is meant for is told: in the app, by email or by SMS."),
    modifiers(&Keys),
    tags(
        (name = "notifications", description = "Send, and see what became of it."),
        (name = "recipients", description = "People, their addresses and wishes."),
        (name = "topics", description = "Named groups of recipients, to whom one notification goes as one."),
        (name = "suppressions", description = "Addresses that are not written to."),
        (name = "templates", description = "What is said, in each language: publish, preview, test, look back, take back."),
        (name = "inbox", description = "The inbox of the person whose token is shown. Realtime: `GET /v1/inbox/ws`, subprotocol `stentor.v1`."),
        (name = "dead letters", description = "What could not be delivered and waits for a decision."),
        (name = "operations", description = "For operators and the machines that watch."),
    )
)]
struct Description;

/// The two kinds of credentials.
struct Keys;

impl Modify for Keys {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        let bearer = |description: &str| {
            let mut http = Http::new(HttpAuthScheme::Bearer);
            http.description = Some(description.to_owned());
            SecurityScheme::Http(http)
        };
        components.add_security_scheme("app_key", bearer("An app key: stn_live_…"));
        components.add_security_scheme("inbox_token", bearer("A person's inbox token (JWT), for /v1/inbox"));
        let none: [&str; 0] = [];
        api.security = Some(vec![SecurityRequirement::new("app_key", none), SecurityRequirement::new("inbox_token", none)]);
    }
}

/// The routes under the description's head.
pub(crate) fn describe(routes: OpenApiRouter<ApiState>) -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(Description::openapi()).merge(routes)
}

/// `/openapi.json`.
pub(crate) fn routes(json: String) -> Router<ApiState> {
    Router::new().route("/openapi.json", get(async move || ([(header::CONTENT_TYPE, "application/json")], json)))
}
