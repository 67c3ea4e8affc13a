//! The operator's settings of SMS: `[sms]`.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Deserializer, Serialize, de};
use stentor_domain::{
    AppId, Locale, Region,
    opt_out::OptOutLanguages,
    sms::{SmsLimits, SmsPrices},
};

use crate::{
    Masked,
    config::{Limits, default_deadline_ms},
};

/// `[sms]`: which providers send text messages.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmsConfig {
    /// The providers to use, in order; the next one is asked where nothing can have been sent.
    pub providers: Vec<String>,
    /// The providers by name.
    pub provider: BTreeMap<String, SmsProviderConfig>,
    /// Where a phone number is at home that comes without its country, if its recipient's language does not say it.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "region_or_nothing")]
    pub default_region: Option<Region>,
    /// What a segment costs.
    pub prices: SmsPrices,
    /// How much is sent in a day.
    pub limits: SmsLimits,
    /// What STOP, START and HELP are called, by language.
    pub words: OptOutLanguages,
}

/// An empty text is none: settings have no null.
fn region_or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Region>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(de::Error::custom) }
}

/// `[sms.provider.NAME]`: an HTTP gateway.
///
/// `url`, `query`, `headers`, `body` and `parts` are Handlebars templates. They know `to` (E.164), `text`, `from`, `id`
/// (ours), `ucs2` (true if GSM-7 cannot write the text), `username`, `password`, `values.*`, `callback` (where the gateway
/// reports, for this message), `data.*` (what our template was filled in with), `host` (of the URL), `now` (Unix seconds), `time` (`2026-12-01T09:00:00Z`), `date` and `nonce`;
/// all but the body know `body`, unless it is made of parts. Each value is escaped for its place: percent-encoded in URL and
/// query, in the body by what the header `Content-Type` says it is.
///
/// Helpers: `digits to` (without the plus sign), `url x` (percent-encoded), `base64 x`, `hash x with="sha256" as="hex"`,
/// `hmac key text with="sha256" key="text" as="hex"` (`md5`, `sha1`, `sha256`, `sha512`; `text`, `hex`, `base64`) and
/// `part "name"`; what these give, but for `digits`, is not escaped again.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmsProviderConfig {
    /// A gateway that is known by name; what is set besides outweighs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<SmsPreset>,
    /// Where the request goes. For `kannel` the whole sendsms URL with user and password; for `capture` nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Masked>,
    /// What is added to the URL's query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The folder that `capture` writes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// The request's method: `POST` with a body and `GET` without, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The request's headers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Masked>,
    /// The request's body. It needs a header `Content-Type`: JSON, form, XML or plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Pieces that are made first, in this order, each with those before it: for signatures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartConfig>,
    /// The sender: `from` in the templates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// `username` in the templates: an account, an access key's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// `password` in the templates: a token, an access key's secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Masked>,
    /// Other words of the operator's: `values.NAME` in the templates.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// Which templates of the gateway's own stand for ours, where it sends none but those that it has approved (Alibaba Cloud, Tencent
    /// Cloud): the first that fits. What fits none is sent by the gateway's `values`, with the whole text as its only parameter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<VendorTemplate>,
    /// When a 2xx answer means that the message was taken; always, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<Condition>,
    /// What other answers mean, the first that fits; what fits none is judged by its status.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ErrorRule>,
    /// Where the answer holds the gateway's id of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Finder>,
    /// Where the answer says why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Finder>,
    /// The address of `/v1/callbacks/sms/NAME` as the gateway reaches it: `callback` in the templates, and what it signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// How the gateway's receipts are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipts: Option<ReceiptConfig>,
    /// How the messages are read that people send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incoming: Option<IncomingConfig>,
    /// After how many milliseconds a call is given up.
    pub deadline_ms: u64,
    /// How many messages are handed over at once by one worker process; as many as it works on, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<usize>,
    /// How many messages are handed over in a second, by all workers together; unlimited, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<f64>,
}

impl SmsProviderConfig {
    pub(crate) fn limits(&self) -> Limits {
        Limits { max_concurrency: self.max_concurrency, rate_per_second: self.rate_per_second }
    }
}

impl Default for SmsProviderConfig {
    fn default() -> Self {
        Self {
            preset: None,
            url: None,
            query: None,
            dir: None,
            method: None,
            headers: BTreeMap::new(),
            body: None,
            parts: Vec::new(),
            from: None,
            username: None,
            password: None,
            values: BTreeMap::new(),
            templates: Vec::new(),
            success: None,
            errors: Vec::new(),
            message_id: None,
            reason: None,
            callback_url: None,
            receipts: None,
            incoming: None,
            deadline_ms: default_deadline_ms(),
            max_concurrency: None,
            rate_per_second: None,
        }
    }
}

/// A gateway that is known by name. Each is a file of the settings above (`sms/presets`), but for `capture`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SmsPreset {
    /// Kannel's `sendsms`. `url`: the whole of it.
    Kannel,
    /// Twilio's Messages. `username`: the account's SID, `password`: its token, `from` or `values.messaging_service`.
    Twilio,
    /// Vonage's SMS API. `username`: the key, `password`: its secret, `from`.
    Vonage,
    /// Alibaba Cloud's SMS. `username`, `password`: the access key, `values.sign_name`, `values.template_code`.
    Aliyun,
    /// Tencent Cloud's SMS. `username`, `password`: the secret's id and key, `values.sdk_app_id, sign_name, template_id`.
    Tencent,
    /// Each message becomes a JSON file in `dir`.
    Capture,
}

/// A piece of a request that is made by itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PartConfig {
    /// Its name, for `part "name"`.
    pub name: String,
    /// The template.
    pub text: String,
    /// How values are escaped in it.
    #[serde(default, rename = "as")]
    pub escape: PartEscape,
}

/// How values are escaped in a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartEscape {
    /// Not at all.
    #[default]
    None,
    /// Percent-encoded (RFC 3986).
    Url,
    /// As in a form's body.
    Form,
    /// As within the quotes of a JSON string.
    Json,
    /// As in XML text and attributes.
    Xml,
}

/// A template of the gateway's own, and for which of ours it stands.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct VendorTemplate {
    /// The key of our template.
    pub template: String,
    /// In which language, or any of its kind: `zh` is for `zh-CN`, too; in all, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// What outweighs the gateway's `values`: the template's code there, a signature.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// Its parameters, in order; the whole text as the only one, unless given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<VendorParam>,
}

/// A parameter of a template of the gateway's own.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct VendorParam {
    /// Its name; where the gateway goes by their order, of no effect.
    pub name: String,
    /// What is filled in, as a template of the request: it knows `data.*` besides, such as `{{data.code}}`.
    pub value: String,
}

/// What an answer must say. All that is given must hold.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Condition {
    /// Its status is one of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Vec<u16>>,
    /// A JSON pointer (RFC 6901) into the body, at which `equals` stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// A path into an XML body, `/answer/message/@code`, at which `equals` stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xml: Option<String>,
    /// What must stand there, or a list of what may; `0` and `"0"` are the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equals: Option<serde_json::Value>,
    /// A regular expression that must match the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
}

/// What an answer that fits means.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// When it fits.
    pub when: Condition,
    /// What it means.
    pub means: Meaning,
}

/// What an answer means that is no success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// This message was not sent; it may be tried again.
    Transient,
    /// No message is taken now; the gateway is left alone for a while.
    Busy,
    /// It is refused, and would be again.
    Permanent,
    /// It may have been sent.
    Unknown,
}

/// Where in an answer something stands: `"/message/id"`, `{ xml = "/answer/id" }` or `{ regex = "id=(\\w+)" }`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Finder {
    /// A JSON pointer (RFC 6901) into the body.
    Pointer(String),
    /// A path into an XML body.
    Xml {
        /// The path.
        xml: String,
    },
    /// A regular expression on the body; its first group, or all of the match.
    Regex {
        /// The expression.
        regex: String,
    },
}

/// How it is known that a call to a callback is the gateway's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The URL carries `secret`.
    Secret,
    /// The header named `header` is `secret`.
    Header,
    /// The header named `header` is the HMAC-SHA256 (hex, or base64) of the body under `secret`.
    Hmac,
    /// Twilio's signature of URL and form under the account's token (`password`).
    Twilio,
    /// Vonage's signature of the fields under `secret`.
    Vonage,
    /// A JWT (HS256) under `secret`, with the hash of the body in it: Vonage's Messages API.
    Jwt,
}

/// `[sms.provider.NAME.receipts]`: what the gateway reports later, at `/v1/callbacks/sms/NAME` by POST or GET.
///
/// A field is a name in the query, the form or a JSON object, or a JSON pointer (`/message/id`) into a JSON body. A body
/// that is a list holds several receipts.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReceiptConfig {
    /// How the gateway proves that it calls; `secret`, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// What only the gateway and we know; at least 16 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Masked>,
    /// The header of the proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The field with the reference that the request gave as `{{id}}` or in `{{callback}}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The field with the gateway's own id of the message, for where it gives no reference back. Who has the reference as well can settle
    /// a message whose answer was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The field that says what became of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Its words for delivered.
    pub delivered: Vec<String>,
    /// Its words for failed. All other words mean: under way.
    pub failed: Vec<String>,
    /// The field that says why it failed; the status itself, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the gateway wants to hear, if an empty 204 is not enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// `[sms.provider.NAME.incoming]`: what people send, at `/v1/callbacks/sms/NAME/incoming` by POST or GET.
///
/// Fields are named, and the gateway proves itself, as in its receipts.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct IncomingConfig {
    /// How the gateway proves that it calls; as in `receipts`, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// The secret; that of `receipts`, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Masked>,
    /// The header of the proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The field with the number that it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The field with the country's code, if the number lacks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Where the numbers are at home that it writes without their country (`CN`); it writes them with it, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// The field with the words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The field with the gateway's id of it: what has the same id is taken once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Whose number it is that people write to: an opt-out holds for these apps; for all, unless given.
    pub apps: Vec<AppId>,
    /// How the gateway takes an answer to the person; not at all, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
    /// What the gateway wants to hear, if it takes no answer to the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// How a gateway takes an answer to the person in its call's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The body is the text.
    Text,
    /// Twilio's markup.
    Twiml,
}
