//! Every key of this crate, named here only. The braces are Redis Cluster's hash tag: what is in them shares a slot.

use redis::Script;
use stentor_connection::{Call, Words};
use stentor_domain::{AppId, NotificationId, RecipientId};

/// What an inbox keeps, in the order in which its scripts take it (`scripts/_inbox.lua` explains each).
const PARTS: [&str; 9] = [HEAD, ITEMS, ORDER, UNREAD, "known", EXPIRES, "revs", "gone", "cold_unread"];
/// What of it is touched by writing any item, in the order in which those scripts take it.
const WRITTEN: [&str; 2] = [HEAD, ITEMS];
/// What an inbox is as a whole.
pub(crate) const HEAD: &str = "head";
/// Its hot items.
pub(crate) const ITEMS: &str = "items";
/// Their order.
pub(crate) const ORDER: &str = "order";
const UNREAD: &str = "unread";
pub(crate) const EXPIRES: &str = "expires";

/// A call of an inbox's script with all its keys, the live channel last.
pub(crate) fn inbox_call(script: &'static Script, app: &AppId, recipient: &RecipientId) -> Call {
    let mut call = Call::new(script, PARTS.len() + 1);
    let tag = tag(app, recipient);
    for part in PARTS {
        call.arg_of(&[tag.as_bytes(), part.as_bytes()]);
    }
    call.arg(live(app, recipient));
    call
}

/// What all who write an item touch, in the order in which their scripts take it: its parts and the live channel.
pub(crate) fn written(app: &AppId, recipient: &RecipientId) -> Words {
    let mut keys = Words::with_capacity(WRITTEN.len() + 3, 320);
    let tag = tag(app, recipient);
    for part in WRITTEN {
        keys.push_of(&[tag.as_bytes(), part.as_bytes()]);
    }
    keys.push(live(app, recipient));
    keys
}

/// The keys of what an inbox keeps.
pub(crate) fn inbox(app: &AppId, recipient: &RecipientId) -> [String; PARTS.len()] {
    PARTS.map(|part| inbox_part(app, recipient, part))
}

/// The key of one part of what an inbox keeps.
pub(crate) fn inbox_part(app: &AppId, recipient: &RecipientId, part: &str) -> String {
    tag(app, recipient) + part
}

fn tag(app: &AppId, recipient: &RecipientId) -> String {
    format!("stentor:inbox:{{{app}:{recipient}}}:")
}

/// The channel on which an inbox's changes are published.
pub(crate) fn live(app: &AppId, recipient: &RecipientId) -> String {
    format!("{LIVE_PREFIX}{app}:{recipient}}}")
}

/// A call of a timeline's script with all its keys.
pub(crate) fn timeline_call(script: &'static Script, app: &AppId) -> Call {
    let keys = timeline(app);
    let mut call = Call::new(script, keys.len());
    call.arg(&keys);
    call
}

/// All keys of a timeline, its live channel last (`scripts/_timeline.lua` explains each).
fn timeline(app: &AppId) -> [String; 7] {
    ["meta", "entries", "revs", "expires", "times", "ids", "live"].map(|part| format!("stentor:timeline:{{{app}}}:{part}"))
}

/// The channel on which a timeline's changes are published.
pub(crate) fn live_timeline(app: &AppId) -> String {
    format!("stentor:timeline:{{{app}}}:live")
}

/// Whose timeline a live channel is.
pub(crate) fn of_live_timeline(channel: &str) -> Option<AppId> {
    channel.strip_prefix("stentor:timeline:{")?.strip_suffix("}:live")?.parse().ok()
}

const LIVE_PREFIX: &str = "stentor:live:{";

/// Whose inbox a live channel is.
pub(crate) fn of_live(channel: &str) -> Option<(AppId, RecipientId)> {
    let (app, recipient) = channel.strip_prefix(LIVE_PREFIX)?.strip_suffix('}')?.split_once(':')?;
    Some((app.parse().ok()?, recipient.parse().ok()?)) // an app's id holds no colon
}

/// The content of a notification, one field a variant.
pub(crate) fn content(app: &AppId, notification: NotificationId, variant: &str) -> String {
    format!("stentor:content:{{{app}:{notification}}}:{variant}")
}

/// What the gateways say of who is connected to an app, or to all of them.
pub(crate) fn presence(app: Option<&AppId>) -> String {
    app.map_or_else(|| "stentor:presence".to_owned(), |app| format!("stentor:presence:{{{app}}}"))
}

/// What the gateways say of one person who has many connections.
pub(crate) fn crowd(app: &AppId, recipient: &RecipientId) -> String {
    format!("stentor:presence:{{{app}:{recipient}}}")
}

/// The hot profile of a recipient.
pub(crate) fn profile(app: &AppId, recipient: &RecipientId) -> String {
    format!("stentor:profile:{{{app}:{recipient}}}")
}

/// Whom an app does not write to.
pub(crate) fn suppressed(app: &AppId) -> String {
    format!("stentor:suppressed:{{{app}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timelines_live_channel_tells_whose_it_is() {
        let app: AppId = "demo".parse().unwrap();
        assert_eq!(timeline(&app).last(), Some(&live_timeline(&app)));
        assert_eq!(of_live_timeline(&live_timeline(&app)), Some(app));
    }

    #[test]
    fn a_live_channel_tells_whose_it_is_whatever_is_in_the_id() {
        for id in ["u1", "a:b", "}", "{x}:y}"] {
            let (app, recipient): (AppId, RecipientId) = ("demo".parse().unwrap(), id.parse().unwrap());
            assert_eq!(of_live(&live(&app, &recipient)), Some((app, recipient)));
        }
    }
}
