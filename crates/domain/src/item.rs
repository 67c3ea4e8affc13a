//! What a recipient sees in the app: a small card that is pushed, and content that is loaded when it is opened.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use crate::{
    NotificationId, Priority, Timestamp,
    content::{Action, Article, Image},
    json,
};

/// The title card of an inbox item: the part that never changes with the recipient's doings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Card {
    /// The notification's id, which is also the item's.
    #[schema(value_type = String, format = Uuid)]
    pub id: NotificationId,
    /// The title, one line of plain text.
    pub title: String,
    /// One or two sentences of plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// A picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// Where the card leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Buttons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    /// What preferences are set on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// How urgent it is.
    pub priority: Priority,
    /// When the notification was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it leaves the inbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

/// What the recipient has done with an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ItemState {
    /// When it was first shown on a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub seen_at: Option<Timestamp>,
    /// When it was opened or marked read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub read_at: Option<Timestamp>,
    /// When it was put away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub archived_at: Option<Timestamp>,
}

/// Where a person finds an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Folder {
    /// In the inbox itself.
    #[default]
    Inbox,
    /// Among what they archived.
    Archived,
}

impl Folder {
    /// True if an item in this state is there.
    pub fn holds(self, state: &ItemState) -> bool {
        state.archived_at.is_some() == (self == Self::Archived)
    }
}

/// A card as it is kept and sent: its JSON, written once. Whoever only passes it on does not read it, and what a later version writes
/// into cards goes through an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardText(Box<str>);

impl CardText {
    /// Takes JSON that [`CardText::of`] once wrote; `None` if that cannot be. What is in it is not looked at.
    pub fn kept(json: &str) -> Option<Self> {
        (json.len() > 2 && json.starts_with('{') && json.ends_with('}')).then(|| Self(json.into()))
    }

    /// Writes a card.
    pub fn of(card: &Card) -> Result<Self, serde_json::Error> {
        Ok(Self(serde_json::to_string(card)?.into()))
    }

    /// The JSON.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// Which notification it is of.
    pub fn id(&self) -> Result<NotificationId, serde_json::Error> {
        #[derive(Deserialize)]
        struct Id {
            id: NotificationId,
        }
        json::read(&self.0).map(|Id { id }| id)
    }

    /// Reads it.
    pub fn read(&self) -> Result<Card, serde_json::Error> {
        json::read(&self.0)
    }

    /// One object of its fields and those of `more`, which is one, too.
    fn and(&self, more: &impl Serialize) -> Result<Box<RawValue>, serde_json::Error> {
        let more = serde_json::to_string(more)?;
        let mut json = String::with_capacity(self.0.len() + more.len() - 1);
        json.push_str(&self.0[..self.0.len() - 1]);
        json.push(',');
        json.push_str(&more[1..]);
        RawValue::from_string(json)
    }
}

/// An inbox item: the card, what the recipient did with it, and the revision at which this was so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The notification's id, which the card has as well.
    pub id: NotificationId,
    /// The card.
    pub card: CardText,
    /// What the recipient did with it.
    pub state: ItemState,
    /// The inbox's revision of the item's latest change.
    pub rev: u64,
}

impl Item {
    /// An item with this card.
    pub fn new(card: &Card, state: ItemState, rev: u64) -> Result<Self, serde_json::Error> {
        Ok(Self { id: card.id, card: CardText::of(card)?, state, rev })
    }

    /// One object of the item's fields and those of `more`.
    pub fn and(&self, more: &impl Serialize) -> Result<Box<RawValue>, serde_json::Error> {
        #[derive(Serialize)]
        struct Rest<'a, M> {
            #[serde(flatten)]
            state: &'a ItemState,
            rev: u64,
            #[serde(flatten)]
            more: &'a M,
        }
        self.card.and(&Rest { state: &self.state, rev: self.rev, more })
    }
}

/// An item in JSON.
#[derive(Deserialize, ToSchema)]
struct ItemFields {
    /// The card.
    #[serde(flatten)]
    card: Card,
    /// What the recipient did with it.
    #[serde(flatten)]
    state: ItemState,
    /// The inbox's revision of the item's latest change.
    rev: u64,
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.and(&()).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ItemFields { card, state, rev } = ItemFields::deserialize(deserializer)?;
        Self::new(&card, state, rev).map_err(de::Error::custom)
    }
}

impl PartialSchema for Item {
    fn schema() -> RefOr<Schema> {
        ItemFields::schema()
    }
}

impl ToSchema for Item {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ItemFields::schemas(schemas);
    }
}

/// What is loaded when an item is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ItemContent {
    /// Sanitised HTML.
    pub body_html: String,
    /// The same as plain text.
    pub body_text: String,
    /// Stories that it brings along, to be shown below the body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub articles: Vec<Article>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "019352d6-0c00-7000-8000-000000000007";

    fn item(card: &Value) -> Item {
        let card = CardText::kept(&card.to_string()).unwrap();
        let state = ItemState { read_at: Some(Timestamp::UNIX_EPOCH), ..ItemState::default() };
        Item { id: card.id().unwrap(), card, state, rev: 7 }
    }

    fn card() -> Value {
        json!({ "id": ID, "title": "A } in \"it\"", "priority": "normal", "created_at": "2026-12-01T09:00:00.000Z" })
    }

    #[test]
    fn an_item_is_one_object_of_its_card_and_what_was_done_with_it() {
        let mut all = card();
        all["read_at"] = json!("1970-01-01T00:00:00.000Z");
        all["rev"] = json!(7);
        assert_eq!(serde_json::to_value(item(&card())).unwrap(), all);
        assert_eq!(serde_json::from_value::<Item>(all.clone()).unwrap().card.read().unwrap(), item(&card()).card.read().unwrap());
        let content = ItemContent { body_html: "<p>It</p>".to_owned(), ..ItemContent::default() };
        (all["body_html"], all["body_text"]) = (json!("<p>It</p>"), json!(""));
        assert_eq!(serde_json::to_value(item(&card()).and(&content).unwrap()).unwrap(), all);
    }

    #[test]
    fn what_a_later_version_writes_into_a_card_goes_through() {
        let mut later = card();
        later["mood"] = json!({ "of": ["the day"] });
        assert_eq!(serde_json::to_value(item(&later)).unwrap()["mood"], later["mood"]);
    }

    #[test]
    fn what_is_no_object_is_no_card() {
        for text in ["", "{", "{}", "[1]", "null", "{\"id\":1"] {
            assert_eq!(CardText::kept(text), None, "{text:?}");
        }
        let broken = Item { card: CardText::kept("{\"id\": x}").unwrap(), ..item(&card()) };
        assert!(serde_json::to_string(&broken).is_err(), "broken JSON is not sent on");
    }
}
