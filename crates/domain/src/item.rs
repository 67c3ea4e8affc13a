//! What a recipient sees in the app: a small card that is pushed, and content that is loaded when it is opened.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    NotificationId, Priority, Timestamp,
    content::{Action, Article, Image},
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

/// An inbox item: the card, what the recipient did with it, and the revision at which this was so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Item {
    /// The card.
    #[serde(flatten)]
    pub card: Card,
    /// What the recipient did with it.
    #[serde(flatten)]
    pub state: ItemState,
    /// The inbox's revision of the item's latest change.
    pub rev: u64,
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
