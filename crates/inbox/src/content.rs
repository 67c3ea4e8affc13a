//! Content: stored once per notification and variant, loaded when an item is opened.

use std::{sync::LazyLock, time::Duration};

use redis::Script;
use stentor_connection::Call;
use stentor_domain::{AppId, NotificationId, item::ItemContent};

use crate::{Inbox, InboxError, keys, writing::encoded};

/// A script, because a plain SET is refused beyond `maxmemory`. KEYS content. ARGV JSON.
static PUT: LazyLock<Script> = LazyLock::new(|| Script::new("#!lua flags=allow-oom\nreturn redis.call('SET', KEYS[1], ARGV[1])"));

impl Inbox {
    /// Stores the contents of a notification, by variant, in one round trip; they stay until
    /// [`expire_contents`](Self::expire_contents).
    pub async fn put_contents<S: AsRef<str>>(
        &self,
        app: &AppId,
        notification: NotificationId,
        contents: &[(S, ItemContent)],
    ) -> Result<(), InboxError> {
        let mut calls = Vec::with_capacity(contents.len());
        for (variant, content) in contents {
            let json = encoded(content)?;
            let mut call = Call::new(&PUT, 1);
            call.arg(keys::content(app, notification, variant.as_ref())).arg(json);
            calls.push(call);
        }
        Call::ask_all(calls, &mut self.connection()).await?;
        Ok(())
    }

    /// The content, if it is hot.
    pub async fn find_content(
        &self,
        app: &AppId,
        notification: NotificationId,
        variant: &str,
    ) -> Result<Option<ItemContent>, InboxError> {
        let key = keys::content(app, notification, variant);
        let json: Option<Vec<u8>> = redis::cmd("GET").arg(key).query_async(&mut self.connection()).await?;
        json.map(|json| serde_json::from_slice(&json).map_err(|e| InboxError::Malformed(e.to_string()))).transpose()
    }

    /// Lets contents go after `life`: called once the record has them. In one round trip.
    pub async fn expire_contents(&self, contents: &[(&AppId, NotificationId, &str)], life: Duration) -> Result<(), InboxError> {
        if contents.is_empty() {
            return Ok(());
        }
        let millis = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        let mut pipe = redis::pipe();
        for (app, notification, variant) in contents {
            pipe.cmd("PEXPIRE").arg(keys::content(app, *notification, variant)).arg(millis).ignore();
        }
        Ok(pipe.query_async(&mut self.connection()).await?)
    }
}
