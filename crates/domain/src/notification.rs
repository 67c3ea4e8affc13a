//! The request that a business system sends, and what is kept of it.

use std::{collections::HashSet, fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    AppId, Channel, Locale, NotificationId, Priority, ProfilePatch, RecipientId, Timestamp, TopicId, Violation,
    attachment::{self, Attachment},
    content::Content,
    invalid_address::InvalidAddress,
    recipient::given,
    text::check_line,
};

/// The mark on what is withdrawn, and the reason told of its deliveries.
pub const RECALLED: &str = "recalled";

/// The most recipients that one request may name.
pub const MAX_RECIPIENTS: usize = 1_000;
/// The farthest ahead that `send_at` may lie.
pub const MAX_SEND_AHEAD: Duration = Duration::from_hours(24 * 366);
/// How far behind the clock `send_at` may lie and still mean "now": the clocks of two machines differ.
pub const SEND_AT_GRACE: Duration = Duration::from_mins(1);

/// A request to notify people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotificationRequest {
    /// For whom.
    pub audience: Audience,
    /// The key of the template that says it. Exactly one of `template` and `content` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// What the template fills in; must fit its schema.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
    /// What to say, written out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// On which channels. Default: the template's, else `["inbox"]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<Channel>>,
    /// Not before this time; at most 366 days ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub send_at: Option<Timestamp>,
    /// Past this time nothing is delivered any more, and it leaves the inbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// How urgent it is.
    #[serde(default)]
    pub priority: Priority,
    /// What preferences are set on. Default: the template's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What belongs together: mails with the same key are shown as one conversation. One line, at most 200 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapse_key: Option<String>,
    /// Files that go with the mail; at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Answer what would be done, to whom and when, and do nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// The sender's own fields, given back by `GET`. At most 8 KiB of JSON.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
}

/// Whom a notification is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Audience {
    /// 1 to 1,000 recipients, each once.
    Recipients(Vec<RecipientRef>),
    /// The members of a topic at the time of dispatch.
    Topic(TopicId),
    /// Everybody who uses the app at the time of dispatch.
    Everyone,
}

impl utoipa::PartialSchema for Audience {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Type};
        let object = || ObjectBuilder::new().schema_type(Type::Object);
        let list = ArrayBuilder::new().items(RecipientRef::schema()).min_items(Some(1)).max_items(Some(MAX_RECIPIENTS));
        let topic = ObjectBuilder::new().schema_type(Type::String).description(Some("the topic's id"));
        let everyone = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["everyone"]));
        OneOfBuilder::new()
            .item(object().property("recipients", list).required("recipients"))
            .item(object().property("topic", topic).required("topic"))
            .item(everyone)
            .into()
    }
}

impl ToSchema for Audience {}

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = match self {
            Self::Everyone => return serializer.serialize_str("everyone"),
            Self::Recipients(_) | Self::Topic(_) => serializer.serialize_map(Some(1))?,
        };
        match self {
            Self::Recipients(recipients) => map.serialize_entry("recipients", recipients)?,
            Self::Topic(topic) => map.serialize_entry("topic", topic)?,
            Self::Everyone => {}
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Audience;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(r#"an audience: {"recipients": […]}, {"topic": "…"} or "everyone""#)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Audience, E> {
                if text == "everyone" { Ok(Audience::Everyone) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
            }

            // By hand, which keeps the path of an error within (see `RecipientRef`).
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Audience, A::Error> {
                let mut audience = None;
                while let Some(name) = map.next_key::<String>()? {
                    let given = match name.as_str() {
                        "recipients" => Audience::Recipients(map.next_value()?),
                        "topic" => Audience::Topic(map.next_value()?),
                        other => return Err(de::Error::unknown_field(other, &["recipients", "topic"])),
                    };
                    if audience.replace(given).is_some() {
                        return Err(de::Error::custom("give either recipients or topic, not both"));
                    }
                }
                audience.ok_or_else(|| de::Error::missing_field("recipients"))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// One recipient: the id alone, or with fields that are set on the profile and hold for this notification.
#[derive(Clone, Debug, PartialEq)]
pub struct RecipientRef {
    /// The app's own id of the person.
    pub id: RecipientId,
    /// Fields to set.
    pub profile: ProfilePatch,
}

impl utoipa::PartialSchema for RecipientRef {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::{AllOfBuilder, ObjectBuilder, OneOfBuilder, Type};
        let id = || ObjectBuilder::new().schema_type(Type::String).description(Some("the app's own id"));
        let with_fields = AllOfBuilder::new()
            .item(ObjectBuilder::new().schema_type(Type::Object).property("id", id()).required("id"))
            .item(ProfilePatch::schema());
        OneOfBuilder::new().item(id()).item(with_fields).into()
    }
}

impl ToSchema for RecipientRef {}

impl Serialize for RecipientRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.profile.is_empty() {
            return self.id.serialize(serializer);
        }
        let Ok(Value::Object(fields)) = serde_json::to_value(&self.profile) else {
            return Err(serde::ser::Error::custom("a profile patch is an object"));
        };
        let mut map = serializer.serialize_map(Some(fields.len() + 1))?;
        map.serialize_entry("id", &self.id)?;
        for (name, value) in &fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for RecipientRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = RecipientRef;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a recipient: its id as a string, or an object with `id`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RecipientRef, E> {
                let id = text.parse().map_err(|e| E::custom(format_args!("a recipient id {e}")))?;
                Ok(RecipientRef { id, profile: ProfilePatch::default() })
            }

            // By hand and not by `flatten`, which would lose both the path of an error and the check for unknown fields.
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<RecipientRef, A::Error> {
                let mut id = None;
                let mut profile = ProfilePatch::default();
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "id" => id = Some(map.next_value()?),
                        name if profile.read_field(name, &mut map)? => {}
                        other => {
                            const FIELDS: &[&str] = &["id", "email", "phone", "locale", "timezone", "attributes"];
                            return Err(de::Error::unknown_field(other, FIELDS));
                        }
                    }
                }
                Ok(RecipientRef { id: id.ok_or_else(|| de::Error::missing_field("id"))?, profile })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl NotificationRequest {
    /// Everything that is wrong with the request and can be told without looking anything up.
    pub fn check(&self, now: Timestamp) -> Vec<Violation> {
        let mut found = Vec::new();
        self.check_audience(&mut found);
        self.check_what(&mut found);
        self.check_times(now, &mut found);
        if let Some(channels) = &self.channels {
            if channels.is_empty() {
                found.push(Violation::new("/channels", "empty", "name at least one channel, or leave the field out"));
            }
            for (i, channel) in channels.iter().enumerate().filter(|(i, c)| channels[..*i].contains(c)) {
                found.push(Violation::new(format!("/channels/{i}"), "repeated", format!("{channel} is named twice")));
            }
        }
        if let Some(category) = &self.category
            && let Err(e) = check_line(category, 64)
        {
            found.push(Violation::new("/category", e.code(), e.to_string()));
        }
        if let Some(key) = &self.collapse_key
            && let Err(e) = check_line(key, 200)
        {
            found.push(Violation::new("/collapse_key", e.code(), e.to_string()));
        }
        attachment::check(&self.attachments, &mut found);
        if !self.metadata.is_empty() && serde_json::to_string(&self.metadata).map_or(0, |s| s.len()) > 8_192 {
            found.push(Violation::new("/metadata", "too_long", "must be at most 8192 bytes of JSON"));
        }
        found
    }

    fn check_audience(&self, found: &mut Vec<Violation>) {
        let Audience::Recipients(recipients) = &self.audience else { return };
        if recipients.is_empty() || recipients.len() > MAX_RECIPIENTS {
            let message = format!("name 1 to {MAX_RECIPIENTS} recipients, not {}", recipients.len());
            found.push(Violation::new("/audience/recipients", "recipient_count", message));
            return;
        }
        // One, as nearly always, is not twice: no set is needed to see that.
        let mut seen = HashSet::with_capacity(if recipients.len() > 1 { recipients.len() } else { 0 });
        for (i, recipient) in recipients.iter().enumerate() {
            if recipients.len() > 1 && !seen.insert(&recipient.id) {
                let message = format!("recipient {} is named twice", recipient.id);
                found.push(Violation::new(place(i).to_string(), "repeated", message));
            }
            recipient.profile.check_fields(place(i), found);
        }
    }

    fn check_what(&self, found: &mut Vec<Violation>) {
        match (&self.template, &self.content) {
            (Some(_), Some(_)) => {
                found.push(Violation::new("/content", "ambiguous", "give either template or content, not both"));
            }
            (None, None) => found.push(Violation::new("", "nothing_to_say", "give template (with data) or content")),
            (None, Some(content)) => {
                content.check("/content", found);
                if !self.data.is_empty() {
                    found.push(Violation::new("/data", "unused", "data is for templates; content is sent as it stands"));
                }
            }
            (Some(_), None) => {}
        }
    }

    fn check_times(&self, now: Timestamp, found: &mut Vec<Violation>) {
        if let Some(at) = self.send_at {
            if at.after(SEND_AT_GRACE) < now {
                found.push(Violation::new("/send_at", "in_the_past", "lies in the past; leave it out to send now"));
            } else if at > now.after(MAX_SEND_AHEAD) {
                found.push(Violation::new("/send_at", "too_far_ahead", "must lie at most 366 days ahead"));
            }
        }
        if let Some(expiry) = self.expires_at {
            if expiry <= now {
                found.push(Violation::new("/expires_at", "in_the_past", "lies in the past: nothing would be delivered"));
            } else if self.send_at.is_some_and(|at| expiry <= at) {
                found.push(Violation::new("/expires_at", "before_send_at", "must be later than send_at"));
            }
        }
    }
}

/// The JSON pointer of the recipient who is named at `i`.
pub(crate) fn place(i: usize) -> impl fmt::Display {
    fmt::from_fn(move |f| write!(f, "/audience/recipients/{i}"))
}

/// An accepted notification: what dispatch works from and the archive keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Its id.
    pub id: NotificationId,
    /// Whose it is.
    pub app: AppId,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// What was asked for, and said otherwise since.
    pub request: NotificationRequest,
    /// When it was last said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// The version of its template that was live when it was accepted: it is written with this one, whatever is published since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_version: Option<String>,
    /// In which language everybody gets it, whatever their own is: of an author's test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// The addresses that were set aside when it was accepted, in order of recipients: nothing is sent there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invalid_addresses: Vec<InvalidAddress>,
}

/// What is said otherwise of an accepted notification. What is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NotificationUpdate {
    /// What to say, written out; of a notification that was sent with `content`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// What its template fills in; of a notification that was sent with `template`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub data: Option<Map<String, Value>>,
    /// When it leaves the inbox; `null`: it does not.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Option<Timestamp>>,
}

impl Notification {
    /// True once nothing of it may be delivered any more.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.request.expires_at.is_some_and(|at| at <= now)
    }

    /// Which saying of it this is: grows with each update.
    pub fn version(&self) -> i64 {
        self.updated_at.map_or(0, Timestamp::as_millis)
    }

    /// The notification as `update` says it, from `now` on; or everything that is wrong with it.
    pub fn updated(&self, update: NotificationUpdate, now: Timestamp) -> Result<Self, Vec<Violation>> {
        let mut found = Vec::new();
        let NotificationUpdate { content, data, expires_at } = update;
        match (&self.request.content, &content, &data) {
            (Some(_), _, Some(_)) => {
                found.push(Violation::new("/data", "unused", "it was sent with content; say what is to stand there instead"));
            }
            (None, Some(_), _) => {
                found.push(Violation::new("/content", "unused", "it was sent with a template; give other data for it"));
            }
            _ => {}
        }
        if content.is_none() && data.is_none() && expires_at.is_none() {
            found.push(Violation::new("", "nothing_to_say", "give content, data or expires_at"));
        }
        if let Some(content) = &content {
            content.check("/content", &mut found);
        }
        if let Some(Some(at)) = expires_at
            && at <= now
        {
            found.push(Violation::new("/expires_at", "in_the_past", "lies in the past: recall it instead"));
        }
        if !found.is_empty() {
            return Err(found);
        }
        let mut request = self.request.clone();
        request.content = content.or(request.content);
        request.data = data.unwrap_or(request.data);
        request.expires_at = expires_at.unwrap_or(request.expires_at);
        // Two updates in one millisecond are still told apart.
        let after = self.updated_at.map_or(now, |before| Timestamp::from_millis(now.as_millis().max(before.as_millis() + 1)));
        Ok(Self { request, updated_at: Some(after), ..self.clone() })
    }

    /// When it is to be dispatched.
    pub fn due_at(&self) -> Timestamp {
        self.request.send_at.unwrap_or(self.accepted_at)
    }
}

/// How far a notification has come, as `GET /v1/notifications/{id}` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotificationStatus {
    /// It waits for its `send_at`.
    Scheduled,
    /// It is in Redis and waits for dispatch.
    Accepted,
    /// Some deliveries have not ended.
    Dispatching,
    /// Every delivery has ended.
    Completed,
    /// It was withdrawn before it was dispatched.
    Cancelled,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn now() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    fn violations(value: Value) -> Vec<(String, String)> {
        let request: NotificationRequest = serde_json::from_value(value).unwrap();
        request.check(now()).into_iter().map(|v| (v.pointer, v.code)).collect()
    }

    #[test]
    fn a_good_request_is_read_back_as_it_was_written() {
        let value = json!({
            "audience": {"recipients": ["u1", {"id": "u2", "email": "a@example.com", "phone": null}]},
            "template": "welcome", "data": {"name": "Ada"}, "channels": ["inbox", "email"],
            "send_at": "2026-12-01T09:00:00.000Z", "priority": "high",
        });
        let request: NotificationRequest = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(request.check(now()), []);
        assert_eq!(serde_json::to_value(&request).unwrap(), value);
    }

    #[test]
    fn an_audience_is_a_list_a_topic_or_everyone() {
        for audience in [json!("everyone"), json!({"topic": "vip"}), json!({"recipients": ["u"]})] {
            let value = json!({"audience": audience, "template": "t", "priority": "normal"});
            let request: NotificationRequest = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(request.check(now()), []);
            assert_eq!(serde_json::to_value(&request).unwrap(), value);
        }
        for audience in [json!("nobody"), json!({}), json!({"topic": ""}), json!({"topic": "a", "recipients": ["u"]})] {
            let value = json!({"audience": audience, "template": "t"});
            assert!(serde_json::from_value::<NotificationRequest>(value).is_err());
        }
    }

    #[test]
    fn unknown_fields_are_refused_at_every_level() {
        for value in [
            json!({"audience": {"recipients": ["u"]}, "template": "t", "chanels": []}),
            json!({"audience": {"recipients": ["u"], "x": 1}, "template": "t"}),
            json!({"audience": {"recipients": [{"id": "u", "mail": "a@b.c"}]}, "template": "t"}),
        ] {
            let error = serde_json::from_value::<NotificationRequest>(value).unwrap_err();
            assert!(error.to_string().contains("unknown field"), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (json!({"audience": {"recipients": []}, "template": "t"}), "/audience/recipients", "recipient_count"),
            (
                json!({"audience": {"recipients": (0..1001).map(|i| i.to_string()).collect::<Vec<_>>()}, "template": "t"}),
                "/audience/recipients",
                "recipient_count",
            ),
            (json!({"audience": {"recipients": ["u", "u"]}, "template": "t"}), "/audience/recipients/1", "repeated"),
            (json!({"audience": {"recipients": ["u"]}}), "", "nothing_to_say"),
            (json!({"audience": {"recipients": ["u"]}, "template": "t", "content": {"title": "x"}}), "/content", "ambiguous"),
            (json!({"audience": {"recipients": ["u"]}, "template": "t", "channels": []}), "/channels", "empty"),
            (json!({"audience": {"recipients": ["u"]}, "template": "t", "channels": ["sms", "sms"]}), "/channels/1", "repeated"),
            (
                json!({"audience": {"recipients": ["u"]}, "template": "t", "send_at": "2026-11-23T11:58:00Z"}),
                "/send_at",
                "in_the_past",
            ),
            (
                json!({"audience": {"recipients": ["u"]}, "template": "t", "send_at": "2226-11-23T11:58:00Z"}),
                "/send_at",
                "too_far_ahead",
            ),
            (
                json!({"audience": {"recipients": ["u"]}, "template": "t", "expires_at": "2026-11-23T12:00:00Z"}),
                "/expires_at",
                "in_the_past",
            ),
        ];
        for (value, pointer, code) in cases {
            assert_eq!(violations(value), [(pointer.to_owned(), code.to_owned())]);
        }
    }
}
