//! What dispatch decides for each recipient by itself, without a server: the delivery's id and the route.

use std::hint::black_box;

use stentor_domain::{Channel, DeliveryId, NotificationId, Profile, RecipientId, Timestamp, routing};
use uuid::Uuid;

use crate::beside::Bench;

pub(crate) fn measure(bench: &mut Bench) {
    let notification = NotificationId::new(Timestamp::from_millis(1_795_694_400_000), &[7; 10]);
    let recipient: RecipientId = "customer-1234567".parse().expect("an id");
    bench
        .work("name a delivery", || DeliveryId::new(black_box(notification), &recipient, Channel::Email))
        .beside("one UUIDv5", || Uuid::new_v5(&black_box(notification).as_uuid(), recipient.as_str().as_bytes()));

    let channels = [Channel::Inbox, Channel::Email, Channel::Sms];
    let profile = Profile {
        email: Some("maria@example.com".parse().expect("an address")),
        phone: Some("+493012345678".parse().expect("a number")),
        ..Profile::default()
    };
    bench
        .work("route a recipient", || routing::route(black_box(&profile), &channels, Some("billing"), &[], &[]))
        .beside("copies of both addresses", || (black_box(&profile).email.clone(), profile.phone.clone()));
}
