//! What a template would look like, before anyone receives it.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stentor_catalog::{Checked, Files, Finding, verify};
use stentor_domain::{
    Audience, Channel, Locale, NotificationId, NotificationRequest, Priority, RecipientId, Violation,
    content::{Action, Article, Image},
    notification::RecipientRef,
};
use stentor_templates::{Input, RecipientFields, RenderError, RenderedSms, Template, sms::SmsSize};
use utoipa::ToSchema;

use super::{MAX_FILES_BODY, check_key};
use crate::{
    auth::{Key, Templates},
    json::JsonBody,
    path::Path,
    problem::ApiError,
    rest::{
        accept::{self, Asked},
        problems::{BadBody, NotFound, Problems},
    },
    state::ApiState,
};

/// What to look at, and with what it is filled in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preview {
    /// Files that are not saved; absent: those of `version`.
    files: Option<Files>,
    /// A version on record: its number, the beginning of its hash, `shared`, or `live` (if absent).
    version: Option<String>,
    /// The name of a sample; absent: `data`, or else the first sample.
    sample: Option<String>,
    /// What to fill in.
    #[schema(value_type = Option<Object>)]
    data: Option<Map<String, Value>>,
    /// The reader's language; the template's default if absent.
    #[schema(value_type = Option<String>)]
    locale: Option<Locale>,
    /// The reader's time zone.
    timezone: Option<String>,
    /// What the template may know of its reader.
    recipient: Option<PreviewReader>,
    /// Only these channels.
    channels: Option<Vec<Channel>>,
}

/// A reader who need not exist.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewReader {
    /// Their id.
    #[schema(value_type = Option<String>)]
    id: Option<RecipientId>,
    /// Their attributes.
    #[serde(default)]
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
}

/// What it looks like. A channel that cannot be written has an `error` in its place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewView {
    /// The language that it is written in; none if the files make no template.
    #[schema(value_type = Option<String>)]
    locale: Option<Locale>,
    /// The languages that there are.
    #[schema(value_type = Vec<String>)]
    locales: Vec<Locale>,
    /// The samples that there are.
    samples: Vec<String>,
    /// What it was filled in with.
    #[schema(value_type = Object)]
    data: Map<String, Value>,
    /// In the inbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    inbox: Option<Written<InboxView>>,
    /// As a mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<Written<EmailView>>,
    /// As an SMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    sms: Option<Written<SmsView>>,
    /// What its author should know.
    findings: Vec<Finding>,
}

/// A message on one channel, or why there is none.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Written<T> {
    /// The message.
    Message(T),
    /// Why there is none.
    Failed {
        /// In words for its author.
        error: String,
    },
}

impl<T> Written<T> {
    fn of(result: Result<T, RenderError>) -> Self {
        result.map_or_else(|error| Self::Failed { error: error.to_string() }, Self::Message)
    }
}

/// The card and the page in the inbox.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InboxView {
    title: String,
    summary: Option<String>,
    image: Option<Image>,
    link: Option<String>,
    actions: Vec<Action>,
    body_html: String,
    body_text: String,
    articles: Vec<Article>,
}

/// The mail.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmailView {
    subject: String,
    html: String,
    text: String,
}

/// The SMS.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SmsView {
    text: String,
    /// Into how many parts it is cut; each is paid for.
    segments: u32,
    /// How much of them it fills: septets of GSM-7, or 16-bit units of UCS-2.
    units: usize,
    /// What they hold all together.
    capacity: usize,
    /// The character that takes it out of GSM-7, if one does: a segment then holds 70 characters instead of 160.
    forced_by: Option<char>,
}

/// Files to look at, or a version on record.
enum Subject {
    Unsaved(Checked),
    Stored(Arc<Template>),
}

impl Subject {
    fn template(&self) -> Option<&Arc<Template>> {
        match self {
            Self::Unsaved(checked) => checked.template.as_ref(),
            Self::Stored(template) => Some(template),
        }
    }
}

/// See what a template would look like, on every channel, with a sample or with data.
///
/// Of a version on record, or of files that are not saved: those are linted as well. Data that do not fit the schema are tried all
/// the same; what cannot be written says why.
#[utoipa::path(post, path = "/v1/templates/{key}/preview", tag = "templates", params(("key" = String, Path)), request_body = Preview,
    responses((status = 200, body = PreviewView), Problems, NotFound, BadBody))]
pub(crate) async fn preview(
    State(state): State<ApiState>,
    key: Key<Templates>,
    Path(template): Path<String>,
    JsonBody(mut asked): JsonBody<Preview, MAX_FILES_BODY>,
) -> Result<Json<PreviewView>, ApiError> {
    check_key(&template)?;
    let subject = match asked.files.take() {
        Some(files) => {
            let found = verify(&files);
            if !found.is_empty() {
                return Err(ApiError::invalid(found));
            }
            Subject::Unsaved(state.templates.check(&template, files).await?.1)
        }
        None => Subject::Stored(state.named_version(&key.app, &template, asked.version.as_deref()).await?.template.clone()),
    };
    let (app_name, now) = (state.templates.app_name(&key.app).await, state.now());
    // Rendering is bounded and short, but work for a processor all the same.
    let view = tokio::task::spawn_blocking(move || view(&subject, asked, &app_name, now));
    view.await.map_err(|e| ApiError::unavailable("the preview", e))?.map(Json)
}

/// What stands in a preview where each reader's mail has a link of their own.
const UNSUBSCRIBE: &str = "https://example.com/unsubscribe";

fn view(subject: &Subject, asked: Preview, app_name: &str, now: stentor_domain::Timestamp) -> Result<PreviewView, ApiError> {
    let findings = match subject {
        Subject::Unsaved(checked) => checked.findings.clone(),
        Subject::Stored(_) => Vec::new(),
    };
    let Some(template) = subject.template() else {
        let data = asked.data.unwrap_or_default();
        return Ok(PreviewView {
            locale: None,
            locales: Vec::new(),
            samples: Vec::new(),
            data,
            inbox: None,
            email: None,
            sms: None,
            findings,
        });
    };
    let data = filling(template, asked.sample.as_deref(), asked.data)?;
    let id = || "reader".parse().map_err(|e| ApiError::unavailable("the preview", e));
    let reader = match asked.recipient {
        Some(PreviewReader { id: given, attributes }) => RecipientFields { id: given.map_or_else(id, Ok)?, attributes },
        None => RecipientFields { id: id()?, attributes: Map::new() },
    };
    let input = Input {
        data: &data,
        locale: asked.locale.as_ref(),
        timezone: asked.timezone.as_deref(),
        recipient: Some(&reader),
        app_name,
        now,
        unsubscribe: Some(UNSUBSCRIBE),
    };
    let wanted = |channel| asked.channels.as_ref().is_none_or(|channels| channels.contains(&channel));
    let inbox = wanted(Channel::Inbox).then(|| {
        Written::of(template.render_inbox(&input).map(|r| InboxView {
            title: r.title,
            summary: r.summary,
            image: r.image,
            link: r.link,
            actions: r.actions,
            body_html: r.content.body_html,
            body_text: r.content.body_text,
            articles: r.content.articles,
        }))
    });
    let email = wanted(Channel::Email).then(|| {
        Written::of(template.render_email(&input).map(|r| EmailView { subject: r.subject, html: r.html, text: r.text }))
    });
    let sms = wanted(Channel::Sms).then(|| Written::of(template.render_sms(&input).map(sms_view)));
    Ok(PreviewView {
        locale: Some(template.locale_for(asked.locale.as_ref())),
        locales: template.locales().cloned().collect(),
        samples: template.samples().keys().cloned().collect(),
        data,
        inbox,
        email,
        sms,
        findings,
    })
}

fn sms_view(sms: RenderedSms) -> SmsView {
    let size = stentor_templates::sms::size(&sms.text);
    let SmsSize { segments, units, capacity, forced_by } = size;
    SmsView { text: sms.text, segments, units, capacity, forced_by }
}

/// The named sample, the given data, or else the first sample.
fn filling(template: &Template, sample: Option<&str>, data: Option<Map<String, Value>>) -> Result<Map<String, Value>, ApiError> {
    match (sample, data) {
        (Some(_), Some(_)) => {
            Err(ApiError::invalid(vec![Violation::new("/data", "ambiguous", "give either sample or data, not both")]))
        }
        (Some(name), None) => template.samples().get(name).cloned().ok_or_else(|| {
            let names: Vec<&str> = template.samples().keys().map(String::as_str).collect();
            let message = format!("there is no sample {name:?}; there are: {}", names.join(", "));
            ApiError::invalid(vec![Violation::new("/sample", "unknown_sample", message)])
        }),
        (None, Some(data)) => Ok(data),
        (None, None) => Ok(template.samples().values().next().cloned().unwrap_or_default()),
    }
}

/// A test of a template.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Test {
    /// To whom: the id of a recipient, or an object with `id` and the fields that a request may set.
    to: RecipientRef,
    /// Files that are not saved; they are kept for the test alone, for a week. Absent: those of `version`.
    #[serde(default)]
    files: Option<Files>,
    /// A version on record: its number, the beginning of its hash, `shared`, or `live` (if absent).
    #[serde(default)]
    version: Option<String>,
    /// The name of a sample; absent: `data`, or else the first sample.
    #[serde(default)]
    sample: Option<String>,
    /// What to fill in.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    data: Option<Map<String, Value>>,
    /// In which language, whatever the recipient's own is.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    locale: Option<Locale>,
    /// On which channels; the template's if absent.
    #[serde(default)]
    channels: Option<Vec<Channel>>,
}

/// A test that was accepted.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TestReceipt {
    /// The notification that it is: `GET /v1/notifications/{id}` tells what became of it.
    #[schema(value_type = String, format = Uuid)]
    id: NotificationId,
    /// The version that it is written with.
    version: String,
}

/// Send a test to one person: the real thing, in the way of every notification, marked by `"test": true` in its metadata.
#[utoipa::path(post, path = "/v1/templates/{key}/test", tag = "templates", params(("key" = String, Path)), request_body = Test,
    responses((status = 202, body = TestReceipt), Problems, NotFound, BadBody))]
pub(crate) async fn test(
    State(state): State<ApiState>,
    key: Key<Templates>,
    Path(template): Path<String>,
    JsonBody(asked): JsonBody<Test, MAX_FILES_BODY>,
) -> Result<(StatusCode, Json<TestReceipt>), ApiError> {
    check_key(&template)?;
    let app = &key.app;
    let version = match asked.files {
        Some(files) => {
            let found = verify(&files);
            if !found.is_empty() {
                return Err(ApiError::invalid(found));
            }
            state.templates.put_test(app, &template, files, state.now()).await?
        }
        None => state.named_version(app, &template, asked.version.as_deref()).await?,
    };
    let data = filling(&version.template, asked.sample.as_deref(), asked.data)?;
    let mut found = version.template.check_data(&data);
    let mut request = NotificationRequest {
        audience: Audience::Recipients(vec![asked.to]),
        template: Some(template),
        data,
        content: None,
        channels: asked.channels,
        send_at: None,
        expires_at: None,
        priority: Priority::default(),
        category: None,
        collapse_key: None,
        attachments: Vec::new(),
        dry_run: false,
        metadata: Map::from_iter([("test".to_owned(), Value::Bool(true))]),
    };
    state.settle_phones(app, &mut request).await?;
    found.extend(request.check(state.now()));
    let invalid_addresses = request.set_aside_invalid_addresses(&mut found);
    if !found.is_empty() {
        return Err(ApiError::invalid(found));
    }
    let request = Box::new(request);
    let asked = Asked { request, template_version: Some(version.hash.clone()), locale: asked.locale, invalid_addresses };
    let checked = accept::Checked::new(app, state.next_id(), asked, None);
    let accepted = state.accept(&checked).await?;
    Ok((StatusCode::ACCEPTED, Json(TestReceipt { id: accepted.id, version: version.hash.clone() })))
}
