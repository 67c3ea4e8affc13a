//! Hot copies of profiles, so that dispatch reads a page of recipients in one round trip.
//!
//! SQL is the record. Fields that come with a request are set here at once and reach SQL as an event; until
//! then the copy here is the newer, field by field, by the time at which the request was accepted. A copy that
//! has not seen SQL yet is incomplete: [`Profiles::resolve`] names whose record is to be read.

use std::sync::LazyLock;

use redis::Script;
use serde_json::Value;
use stentor_connection::{Call, Connection, lua};
use stentor_domain::{AppId, Preferences, Profile, ProfilePatch, RecipientId, Timestamp};

use crate::{InboxError, keys};

/// How long a hot copy lives after it was last written: longer than events wait for SQL in anything but a disaster.
const LIFE_MS: u64 = 48 * 3_600 * 1_000;

static SET: LazyLock<Script> =
    LazyLock::new(|| Script::new(lua!("#!lua flags=allow-oom\n", include_str!("scripts/profile_set.lua"))));

/// A cheap handle to the hot profiles.
#[derive(Clone)]
pub struct Profiles {
    conn: Connection,
}

/// A profile as far as it is hot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HotProfile {
    /// The fields that are known here.
    pub profile: Profile,
    /// False: the record has to be read for the rest.
    pub complete: bool,
}

impl HotProfile {
    /// That of the fields as they are kept, each with when it was set: "at json".
    pub(crate) fn of(fields: &[(String, String)]) -> Self {
        let complete = fields.iter().any(|(name, _)| name == "complete");
        let profile = profile(fields.iter().filter_map(|(name, held)| Some((&**name, held.split_once(' ')?.1))));
        Self { profile, complete }
    }
}

impl Profiles {
    /// Profiles in the Redis behind `conn`.
    pub fn new(conn: Connection) -> Self {
        Self { conn }
    }

    /// Sets the fields of each patch that are not held newer, as of `at`, and gives back what is known, in order.
    pub async fn resolve(
        &self,
        app: &AppId,
        patches: &[(RecipientId, ProfilePatch)],
        at: Timestamp,
    ) -> Result<Vec<HotProfile>, InboxError> {
        let changes: Vec<_> = patches.iter().map(|(id, patch)| (id, fields_of_patch(patch, at), false)).collect();
        self.call(app, &changes).await
    }

    /// Completes hot copies with what the record says: fields that are held already are not touched.
    pub async fn complete(&self, app: &AppId, records: &[(RecipientId, Profile)]) -> Result<Vec<HotProfile>, InboxError> {
        let changes: Vec<_> = records.iter().map(|(id, profile)| (id, fields_of_profile(profile), true)).collect();
        self.call(app, &changes).await
    }

    /// Sets fields after they were written to the record.
    pub async fn set(&self, app: &AppId, patches: &[(RecipientId, ProfilePatch)], at: Timestamp) -> Result<(), InboxError> {
        self.resolve(app, patches, at).await.map(drop)
    }

    /// Sets the preferences after they were written to the record.
    pub async fn set_preferences(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        preferences: &Preferences,
        at: Timestamp,
    ) -> Result<(), InboxError> {
        let field = ("preferences", at, json(preferences));
        self.call(app, &[(recipient, vec![field], false)]).await.map(drop)
    }

    /// The hot profile, if it is complete.
    pub async fn find(&self, app: &AppId, recipient: &RecipientId) -> Result<Option<Profile>, InboxError> {
        Ok(self.find_all(app, std::slice::from_ref(recipient)).await?.pop().flatten())
    }

    /// The same of many, in order.
    pub async fn find_all(&self, app: &AppId, recipients: &[RecipientId]) -> Result<Vec<Option<Profile>>, InboxError> {
        Ok(self.read(app, recipients).await?.into_iter().map(|p| p.complete.then_some(p.profile)).collect())
    }

    /// What is known, in order. No script, and no copy lives longer for it: each push reads one.
    pub async fn read(&self, app: &AppId, recipients: &[RecipientId]) -> Result<Vec<HotProfile>, InboxError> {
        let mut out = Vec::with_capacity(recipients.len());
        for chunk in recipients.chunks(500) {
            let mut pipe = redis::pipe();
            for recipient in chunk {
                pipe.cmd("HGETALL").arg(keys::profile(app, recipient));
            }
            let found: Vec<Vec<(String, String)>> = pipe.query_async(&mut self.conn.clone()).await?;
            out.extend(found.iter().map(|fields| HotProfile::of(fields)));
        }
        Ok(out)
    }

    /// Removes the hot copy.
    pub async fn forget(&self, app: &AppId, recipient: &RecipientId) -> Result<(), InboxError> {
        let key = keys::profile(app, recipient);
        Ok(redis::cmd("DEL").arg(key).query_async(&mut self.conn.clone()).await?)
    }

    async fn call(&self, app: &AppId, changes: &[(&RecipientId, Vec<Field>, bool)]) -> Result<Vec<HotProfile>, InboxError> {
        let mut out = Vec::with_capacity(changes.len());
        let call = |(recipient, fields, complete): &(&RecipientId, Vec<Field>, bool)| {
            let mut call = Call::new(&SET, 1);
            call.arg(keys::profile(app, recipient)).arg(LIFE_MS).arg(u8::from(*complete));
            for (name, at, json) in fields {
                call.arg(*name).arg(at.as_millis()).arg(json);
            }
            call
        };
        for chunk in changes.chunks(500) {
            let replies = Call::ask_all(chunk.iter().map(call).collect(), &mut self.conn.clone()).await?;
            for reply in replies {
                out.push(hot_profile(redis::from_redis_value(reply).map_err(redis::RedisError::from)?));
            }
        }
        Ok(out)
    }
}

type Field = (&'static str, Timestamp, String);

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".into())
}

fn fields_of_patch(patch: &ProfilePatch, at: Timestamp) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut given = |name, json: Option<String>| fields.extend(json.map(|json| (name, at, json)));
    given("email", patch.email.as_ref().map(json));
    given("phone", patch.phone.as_ref().map(json));
    given("locale", patch.locale.as_ref().map(json));
    given("timezone", patch.timezone.as_ref().map(json));
    given("attributes", patch.attributes.as_ref().map(json));
    fields
}

/// The record's fields count as older than anything that was set here.
fn fields_of_profile(profile: &Profile) -> Vec<Field> {
    let old = Timestamp::UNIX_EPOCH;
    vec![
        ("email", old, json(&profile.email)),
        ("phone", old, json(&profile.phone)),
        ("locale", old, json(&profile.locale)),
        ("timezone", old, json(&profile.timezone)),
        ("attributes", old, json(&profile.attributes)),
        ("preferences", old, json(&profile.preferences)),
    ]
}

fn hot_profile(reply: Vec<redis::Value>) -> HotProfile {
    let mut reply = reply.into_iter();
    let complete = reply.next().and_then(|v| redis::from_redis_value::<u8>(v).ok()) == Some(1);
    let texts: Vec<String> = reply.filter_map(|v| redis::from_redis_value(v).ok()).collect();
    HotProfile { profile: profile(texts.chunks_exact(2).map(|pair| (&*pair[0], &*pair[1]))), complete }
}

/// The profile of these fields, each with its JSON.
fn profile<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Profile {
    let object: serde_json::Map<String, Value> = fields
        .filter(|(_, json)| *json != "null")
        .filter_map(|(name, json)| Some((name.to_owned(), serde_json::from_str(json).ok()?)))
        .collect();
    serde_json::from_value(Value::Object(object)).unwrap_or_default()
}
