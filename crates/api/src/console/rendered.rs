//! What a notification says, as a channel shows it: rendered anew from what was sent, by the version of its template that it
//! was accepted with.

use std::sync::Arc;

use askama::{Template as _, filters::HtmlSafe};
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use stentor_catalog::{CatalogError, Version};
use stentor_domain::{Channel, Locale, Notification, NotificationId, Timestamp, content::Content};
use stentor_templates::{Input, RecipientFields, RenderError, Template, inline};

use super::{
    asked::{Path, Query},
    notification::rendered_place,
    page::{Failure, Page},
    visit::Visit,
};
use crate::{problem::ApiError, state::ApiState};

/// For what others wrote: no script, no origin, nothing loaded but pictures and its own styles.
const POLICY: &str = "sandbox; default-src 'none'; img-src https: http: data:; style-src 'unsafe-inline'; frame-ancestors 'self'";

/// What a channel shows.
pub(super) enum Rendered {
    Inbox { title: String, summary: Option<String>, html: String },
    Email { subject: String, html: String, text: String },
    Sms { text: String, segments: u32 },
    Nothing { why: String },
}

/// What a notification is said with: the version of its template that it was accepted with, or the content that came with it.
pub(super) struct Words<'a> {
    n: &'a Notification,
    /// Within, why there is none.
    template: Option<Result<Arc<Version>, String>>,
    app_name: Arc<str>,
}

impl<'a> Words<'a> {
    pub(super) async fn of(state: &ApiState, n: &'a Notification) -> Result<Self, ApiError> {
        let app_name = state.templates.app_name(&n.app).await;
        let Some(key) = &n.request.template else { return Ok(Self { n, template: None, app_name }) };
        let found = match &n.template_version {
            Some(hash) => state.templates.version(&n.app, key, hash).await.map(Some),
            None => state.templates.find(&n.app, key).await,
        };
        let template = match found {
            Ok(version) => version.ok_or_else(|| "its template is gone".to_owned()),
            Err(error @ CatalogError::Archive(_)) => return Err(error.into()),
            Err(error) => Err(error.to_string()),
        };
        Ok(Self { n, template: Some(template), app_name })
    }

    fn template(&self) -> Option<&Template> {
        self.template.as_ref()?.as_ref().ok().map(|version| &*version.template)
    }
}

/// The channels and languages that a notification can be looked at in; the first is shown unasked.
pub(super) fn choices(words: &Words<'_>) -> Vec<(Channel, String)> {
    let (n, template) = (words.n, words.template());
    let locales: Vec<String> = match template {
        Some(template) => {
            let default = template.default_locale();
            let others = template.locales().filter(|locale| *locale != default);
            std::iter::once(default).chain(others).map(ToString::to_string).collect()
        }
        None => vec![String::new()],
    };
    let of_template = template.map(Template::channels).filter(|channels| !channels.is_empty());
    let channels = n.request.channels.as_deref().or(of_template).unwrap_or(&[Channel::Inbox]);
    channels.iter().flat_map(|channel| locales.iter().map(|locale| (*channel, locale.clone()))).collect()
}

/// What `channel` shows in `locale`. What is said to one person alone is written for nobody in particular.
pub(super) fn render(words: &Words<'_>, channel: Channel, locale: &str, now: Timestamp) -> Rendered {
    let (n, locale) = (words.n, locale.parse::<Locale>().ok());
    let nobody = "example".parse().ok().map(|id| RecipientFields { id, attributes: serde_json::Map::new() });
    let input = Input {
        data: &n.request.data,
        locale: locale.as_ref(),
        timezone: None,
        recipient: nobody.as_ref(),
        app_name: &words.app_name,
        now,
        unsubscribe: None,
    };
    let rendered = match (&words.template, &n.request.content) {
        (Some(Err(why)), _) => return Rendered::Nothing { why: why.clone() },
        (Some(Ok(version)), _) => by_template(&version.template, channel, &input),
        (None, Some(content)) => by_content(content, channel, &input),
        (None, None) => return Rendered::Nothing { why: "it says nothing".to_owned() },
    };
    rendered.unwrap_or_else(|error| Rendered::Nothing { why: error.to_string() })
}

fn by_template(template: &Template, channel: Channel, input: &Input<'_>) -> Result<Rendered, RenderError> {
    Ok(match channel {
        Channel::Inbox => inbox(template.render_inbox(input)?),
        Channel::Email => email(template.render_email(input)?),
        Channel::Sms => sms(template.render_sms(input)?),
    })
}

fn by_content(content: &Content, channel: Channel, input: &Input<'_>) -> Result<Rendered, RenderError> {
    Ok(match channel {
        Channel::Inbox => inbox(inline::render_inbox(content, input)?),
        Channel::Email => email(inline::render_email(content, input)?),
        Channel::Sms => sms(inline::render_sms(content, input)?),
    })
}

fn inbox(rendered: stentor_templates::RenderedInbox) -> Rendered {
    Rendered::Inbox { title: rendered.title, summary: rendered.summary, html: rendered.content.body_html }
}

fn email(rendered: stentor_templates::RenderedEmail) -> Rendered {
    Rendered::Email { subject: rendered.subject, html: rendered.html, text: rendered.text }
}

fn sms(rendered: stentor_templates::RenderedSms) -> Rendered {
    Rendered::Sms { text: rendered.text, segments: rendered.segments }
}

/// Which rendering.
#[derive(Deserialize)]
pub(super) struct Wanted {
    channel: Channel,
    #[serde(default)]
    locale: String,
}

#[derive(askama::Template)]
#[template(path = "rendered_part.html")]
pub(super) struct Part {
    rendered: Rendered,
    frame: String,
}

impl HtmlSafe for Part {}

impl Rendered {
    /// As a part of the notification's page; `frame` is where the HTML of it is.
    pub(super) fn part(self, frame: String) -> Part {
        Part { rendered: self, frame }
    }
}

/// The part of the page that shows it.
pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Path(id): Path<NotificationId>,
    Query(wanted): Query<Wanted>,
) -> Result<Page<Part>, Failure> {
    let app = visit.app()?;
    let n = state.find_sent(app, id).await?;
    let frame = rendered_place(id, wanted.channel, &wanted.locale, app, "html");
    Ok(Page(render(&Words::of(&state, &n).await?, wanted.channel, &wanted.locale, state.now()).part(frame)))
}

#[derive(askama::Template)]
#[template(
    source = r#"<!doctype html><meta charset="utf-8"><title>{{ title }}</title><style>body{font:15px/1.5 system-ui,sans-serif;margin:16px;color:#1a1d21;background:#fff}img{max-width:100%;height:auto}</style>{{ html|safe }}"#,
    ext = "html"
)]
struct InboxFrame {
    title: String,
    html: String,
}

/// The HTML alone, for a frame.
pub(super) async fn html(
    State(state): State<ApiState>,
    visit: Visit,
    Path(id): Path<NotificationId>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Failure> {
    let n = state.find_sent(visit.app()?, id).await?;
    let html = match render(&Words::of(&state, &n).await?, wanted.channel, &wanted.locale, state.now()) {
        Rendered::Inbox { title, html, .. } => InboxFrame { title, html }.render().unwrap_or_default(),
        Rendered::Email { html, .. } => html,
        Rendered::Sms { .. } | Rendered::Nothing { .. } => return Err(ApiError::not_found("HTML of it").into()),
    };
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, POLICY)];
    Ok((headers, html).into_response())
}
