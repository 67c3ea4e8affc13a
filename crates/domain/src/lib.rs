//! The words of Stentor and the decisions that every process must take alike.
//!
//! Nothing here does I/O: time and randomness come in as arguments, so that each rule can be tested by
//! itself. The words are those of `docs/ARCHITECTURE.md`; one word stands for one thing everywhere.

pub mod address;
pub mod attachment;
pub mod channel;
pub mod clock;
pub mod content;
pub mod delivery;
pub mod event;
mod from_text;
pub mod id;
pub mod invalid_address;
pub mod item;
pub mod json;
pub mod locale;
pub mod notification;
pub mod opt_out;
pub mod phone;
pub mod recipient;
pub mod retry;
pub mod routing;
pub mod sms;
pub mod suppression;
pub mod text;
pub mod time;
pub mod timeline;
pub mod violation;

pub use address::{EmailAddress, PhoneNumber};
pub use channel::{Channel, Priority};
pub use clock::{Clock, SystemClock};
pub use delivery::{Delivery, DeliveryState, SkipReason};
pub use event::{Event, EventKind};
pub use id::{AppId, DeliveryId, NotificationId, RecipientId, SuppressionId, TopicId};
pub use invalid_address::InvalidAddress;
pub use item::{Card, CardText, Item, ItemState};
pub use locale::Locale;
pub use notification::{Audience, Notification, NotificationRequest, RECALLED};
pub use phone::Region;
pub use recipient::{Preferences, Profile, ProfilePatch};
pub use suppression::{SuppressedAddress, Suppression, SuppressionReason, places};
pub use time::Timestamp;
pub use timeline::{Entry, Target};
pub use violation::Violation;
