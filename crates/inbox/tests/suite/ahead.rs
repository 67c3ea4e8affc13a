//! What a dispatch finds done ahead: profiles that were read, and the item of who takes whatever comes.

use serde_json::{from_value, json};
use stentor_domain::{Preferences, Profile, ProfilePatch, item::ItemContent};
use stentor_inbox::{Ahead, Change, Done, HotProfile, ItemAhead, NewItem, Profiles};

use crate::support::{Fixture, at, card, id, warm};

/// The key of a job's record.
const RECORD: &str = "stentor:queue:{dispatch}:job:1";

struct People {
    f: Fixture,
    profiles: Profiles,
    ahead: Ahead,
}

impl People {
    async fn new() -> Self {
        let f = Fixture::new().await;
        let profiles = Profiles::new(f.conn.clone());
        Self { ahead: Ahead::new(f.inbox.clone(), profiles.clone()), profiles, f }
    }

    /// One who is known, and whose notification was accepted.
    async fn known() -> Self {
        let p = Self::new().await;
        p.set_known().await;
        p.accept().await;
        p
    }

    async fn set_known(&self) {
        self.profiles.complete(&self.f.app, &[(self.f.me.clone(), Profile::default())]).await.unwrap();
    }

    async fn set_locale(&self, locale: &str, seconds: u32) {
        let patch: ProfilePatch = from_value(json!({ "locale": locale })).unwrap();
        self.profiles.set(&self.f.app, &[(self.f.me.clone(), patch)], at(seconds)).await.unwrap();
    }

    async fn set_preferences(&self, preferences: serde_json::Value, seconds: u32) {
        let preferences: Preferences = from_value(preferences).unwrap();
        self.profiles.set_preferences(&self.f.app, &self.f.me, &preferences, at(seconds)).await.unwrap();
    }

    async fn accept(&self) {
        self.set("state", "queued").await;
    }

    /// Sets a field of the job's record.
    async fn set(&self, field: &str, value: &str) {
        redis::cmd("HSET").arg(RECORD).arg(field).arg(value).query_async::<()>(&mut self.f.conn.clone()).await.unwrap();
    }

    fn begin(&self, n: u32, item: Option<ItemAhead>) -> impl Future<Output = ()> {
        self.ahead.begin(id(n), self.f.app.clone(), vec![self.f.me.clone()], item, at(1))
    }

    async fn take(&self, n: u32) -> Done {
        self.ahead.take(id(n), &self.f.app, std::slice::from_ref(&self.f.me)).await.unwrap()
    }

    /// The locale by which a dispatch goes.
    async fn locale(&self, n: u32) -> String {
        let profile = self.take(n).await.profiles.pop().unwrap().profile;
        profile.locale.unwrap().to_string()
    }

    /// What is done ahead of a notification with an item.
    async fn write(&self, n: u32) -> Done {
        self.begin(n, Some(item(n))).await;
        self.take(n).await
    }

    /// Asserts that its item was left to the dispatch.
    async fn assert_left(&self, n: u32) {
        let done = self.write(n).await;
        assert!(done.item.is_none(), "{done:?}");
        assert_eq!(done.profiles, self.profiles.read(&self.f.app, std::slice::from_ref(&self.f.me)).await.unwrap());
        assert!(self.f.find(n, at(1)).await.is_none(), "nothing was written");
        assert_eq!(self.f.inbox.find_content(&self.f.app, id(n), "inline").await.unwrap(), None);
    }
}

fn item(n: u32) -> ItemAhead {
    let content = ItemContent { body_html: "<p>hello</p>\n".into(), body_text: "hello".into(), articles: Vec::new() };
    ItemAhead { record: RECORD.into(), card: card(n), variant: "inline".into(), content }
}

#[tokio::test]
async fn what_was_read_ahead_is_given_once_and_to_its_notification_alone() {
    let p = People::new().await;
    p.set_locale("de", 1).await;
    p.begin(1, None).await;
    p.set_locale("fr", 2).await;
    assert_eq!(p.locale(2).await, "fr", "for another nothing was read ahead");
    assert_eq!(p.locale(1).await, "de");
    assert_eq!(p.locale(1).await, "fr");

    // Who was to read ahead has gone away before the answer: whoever asks reads.
    drop(p.begin(3, None));
    assert_eq!(p.locale(3).await, "fr");

    // Those that are never asked for do not heap up.
    for n in 10..2_000 {
        drop(p.begin(n, None));
    }
    p.begin(4, None).await;
    p.set_locale("it", 3).await;
    assert_eq!(p.locale(4).await, "fr", "it was read before");
}

#[tokio::test]
async fn the_item_of_who_takes_whatever_comes_is_written_with_its_content() {
    let p = People::known().await;
    let done = p.write(1).await;
    assert_eq!(done.profiles, [HotProfile { profile: Profile::default(), complete: true }]);
    let (item, written) = done.item.expect("it was written");
    assert_eq!((item.card, item.variant.as_str()), (card(1), "inline"));
    assert_eq!((written.seq, written.unread, written.new), (1, 1, true));
    let found = p.f.find(1, at(1)).await.expect("it is there");
    assert_eq!((found.item.card.read().unwrap(), found.seq, found.variant.as_str()), (card(1), 1, "inline"));
    assert_eq!(p.f.inbox.find_content(&p.f.app, id(1), "inline").await.unwrap(), Some(item.content));

    // Whoever dispatches it without knowing writes nothing twice.
    let new = NewItem { recipient: &p.f.me, card: &card(1), variant: "inline" };
    let again = warm(p.f.inbox.write(&p.f.app, &[new], at(2)).await.unwrap().remove(0));
    assert_eq!((again.seq, again.rev, again.new), (written.seq, written.rev, false));
    assert_eq!(p.f.overview(at(2)).await.unread, 1);

    // What was done to it since is newer, on record too, than that it was written.
    p.f.mark(Change::Read, [1], at(3)).await;
    let new = NewItem { recipient: &p.f.me, card: &card(1), variant: "inline" };
    let read = warm(p.f.inbox.write(&p.f.app, &[new], at(4)).await.unwrap().remove(0));
    assert_eq!((read.seq, read.rev, read.unread, read.new), (written.seq, 0, 0, false));
}

#[tokio::test]
async fn nothing_is_written_of_what_was_not_accepted() {
    let p = People::new().await;
    p.set_known().await;
    p.assert_left(1).await;
    p.accept().await;
    assert!(p.write(2).await.item.is_some());
}

#[tokio::test]
async fn what_comes_late_writes_nothing_that_was_withdrawn_said_otherwise_or_dispatched_meanwhile() {
    for (field, value) in [("cancel", "recalled"), ("rewritten", "1"), ("state", "dispatched")] {
        let p = People::known().await;
        p.set(field, value).await;
        p.assert_left(1).await;
    }
}

#[tokio::test]
async fn a_dispatch_that_comes_late_goes_by_what_is_so_by_then() {
    let p = People::known().await;
    p.begin(1, Some(item(1))).await;
    p.set_locale("de", 1).await;
    let done = p.ahead.read_anew(id(1), &p.f.app, std::slice::from_ref(&p.f.me)).await.unwrap();
    assert!(done.item.is_none() && done.profiles[0].profile.locale.is_some(), "{done:?}");
    assert!(p.take(1).await.item.is_none(), "it is not kept either");
}

#[tokio::test]
async fn who_has_chosen_anything_is_left_to_the_dispatch() {
    let p = People::known().await;
    p.set_preferences(json!({"channels": {"email": false}}), 1).await;
    p.assert_left(1).await;
    p.set_preferences(json!({}), 2).await;
    assert!(p.write(2).await.item.is_some(), "what was chosen is chosen no more");
}

#[tokio::test]
async fn who_is_not_known_or_whose_inbox_is_cold_is_left_to_the_dispatch() {
    let p = People::new().await;
    p.accept().await;
    p.set_locale("de", 1).await;
    p.assert_left(1).await; // their record may say more

    p.set_known().await;
    p.f.inbox.forget(&p.f.app, &p.f.me).await.unwrap();
    let done = p.write(2).await;
    assert!(done.item.is_none() && done.profiles[0].complete, "{done:?}");
}
