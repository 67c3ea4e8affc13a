//! Every key of this crate, named here only. The braces are Redis Cluster's hash tag: what is in them shares a slot.

use stentor_domain::{AppId, NotificationId, RecipientId};

/// The keys of an inbox, in the order in which its scripts take them (`scripts/_inbox.lua` explains each).
const PARTS: [&str; 11] = ["meta", "order", "cards", "state", "unread", "ids", "seen", "expires", "revs", "gone", "cold_unread"];

/// All keys of an inbox, its live channel last.
pub(crate) fn inbox(app: &AppId, recipient: &RecipientId) -> [String; 12] {
    let tag = format!("stentor:inbox:{{{app}:{recipient}}}:");
    std::array::from_fn(|i| PARTS.get(i).map_or_else(|| live(app, recipient), |part| format!("{tag}{part}")))
}

/// The channel on which an inbox's changes are published.
pub(crate) fn live(app: &AppId, recipient: &RecipientId) -> String {
    format!("{LIVE_PREFIX}{app}:{recipient}}}")
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

/// The hot profile of a recipient.
pub(crate) fn profile(app: &AppId, recipient: &RecipientId) -> String {
    format!("stentor:profile:{{{app}:{recipient}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_channel_tells_whose_it_is_whatever_is_in_the_id() {
        for id in ["u1", "a:b", "}", "{x}:y}"] {
            let (app, recipient): (AppId, RecipientId) = ("demo".parse().unwrap(), id.parse().unwrap());
            assert_eq!(of_live(&live(&app, &recipient)), Some((app, recipient)));
        }
    }
}
