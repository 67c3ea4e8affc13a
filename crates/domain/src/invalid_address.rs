//! Addresses of a request that are none: one slip among a thousand holds up nobody else.

use serde::{Deserialize, Serialize};

use crate::{Audience, Channel, Notification, NotificationRequest, Violation, address::AddressError, notification::place};

/// What was given as an address of a recipient and is none. Which text it was is not kept: it may be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidAddress {
    /// The place of the recipient among those that the request names, from 0.
    pub recipient: usize,
    /// What is wrong with it.
    pub error: AddressError,
}

impl InvalidAddress {
    /// Where it stood, what is wrong and how to mend it.
    pub fn violation(&self) -> Violation {
        self.error.at(place(self.recipient))
    }
}

impl NotificationRequest {
    /// Takes out what was given as addresses and is none, so that all others go all the same. Where nobody is left whose addresses are
    /// right, or something else was `found` to be wrong, nothing goes: they are found, too.
    ///
    /// To be asked last, after [`check`](Self::check).
    #[must_use = "whoever reads the request later cannot know of them"]
    pub fn set_aside_invalid_addresses(&mut self, found: &mut Vec<Violation>) -> Vec<InvalidAddress> {
        let Audience::Recipients(recipients) = &mut self.audience else { return Vec::new() };
        let (mut invalid, mut faulty) = (Vec::new(), 0);
        for (i, recipient) in recipients.iter_mut().enumerate() {
            let before = invalid.len();
            invalid.extend(recipient.profile.invalid_addresses().map(|error| InvalidAddress { recipient: i, error }));
            if invalid.len() > before {
                recipient.profile.drop_invalid_addresses();
                faulty += 1;
            }
        }
        if faulty > 0 && (faulty == recipients.len() || !found.is_empty()) {
            found.extend(invalid.iter().map(InvalidAddress::violation));
        }
        invalid
    }
}

impl Notification {
    /// The channels for which the recipient who is named at `place` was given an address that is none.
    pub fn invalid_channels(&self, place: usize) -> Vec<Channel> {
        let first = self.invalid_addresses.partition_point(|invalid| invalid.recipient < place);
        let of = self.invalid_addresses[first..].iter().take_while(|invalid| invalid.recipient == place);
        of.map(|invalid| invalid.error.channel()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(recipients: &Value) -> NotificationRequest {
        serde_json::from_value(json!({"audience": {"recipients": recipients}, "template": "t"})).unwrap()
    }

    /// What is set aside, and what is found, as pointers.
    fn parted(recipients: &Value, found: &[Violation]) -> (Vec<String>, Vec<String>) {
        let (mut request, mut found) = (request(recipients), found.to_vec());
        let invalid = request.set_aside_invalid_addresses(&mut found);
        assert_eq!(request.set_aside_invalid_addresses(&mut Vec::new()), [], "they are out");
        let pointer = |violation: Violation| violation.pointer;
        (invalid.iter().map(|i| pointer(i.violation())).collect(), found.into_iter().map(pointer).collect())
    }

    #[test]
    fn one_among_others_is_set_aside() {
        let recipients = json!(["u0", {"id": "u1", "email": "a@@b", "phone": "+8613800138000", "locale": "de"}, "u2"]);
        assert_eq!(parted(&recipients, &[]), (vec!["/audience/recipients/1/email".to_owned()], vec![]));
        let mut request = request(&recipients);
        let invalid = request.set_aside_invalid_addresses(&mut Vec::new());
        let violation = invalid[0].violation();
        assert_eq!(violation.code, "invalid_address");
        assert_eq!(violation.message, "not an email address of the form name@example.com");
        // All else that was said of them stays, and nothing of the text that was none.
        let rest = json!({"recipients": ["u0", {"id": "u1", "phone": "+8613800138000", "locale": "de"}, "u2"]});
        assert_eq!(serde_json::to_value(&request.audience).unwrap(), rest);
    }

    #[test]
    fn where_nobody_is_left_or_something_else_is_wrong_nothing_goes() {
        let bad = json!({"id": "u0", "email": "a@example.com\r\nBcc: b@example.com", "phone": "call me"});
        let pointers = ["/audience/recipients/0/email".to_owned(), "/audience/recipients/0/phone".to_owned()];
        assert_eq!(parted(&json!([bad]), &[]).1, pointers);
        assert_eq!(parted(&json!([bad, {"id": "u1", "phone": "13800138000"}]), &[]).1.len(), 3);
        assert_eq!(parted(&json!([bad, "u1"]), &[]), (pointers.to_vec(), vec![]));
        let other = Violation::new("/template", "unknown_template", "");
        let all = [&["/template".to_owned()][..], &pointers].concat();
        assert_eq!(parted(&json!([bad, "u1"]), &[other]).1, all, "told at once");
    }

    #[test]
    fn each_recipient_has_the_channels_of_their_own() {
        let recipients = json!(["u0", {"id": "u1", "email": "\0", "phone": "\n"}, {"id": "u2", "phone": "0170 1234567"}, {"id": "u3", "email": null}]);
        let mut request = request(&recipients);
        let Audience::Recipients(named) = &mut request.audience else { panic!() };
        named[2].profile.settle_phone(None, "CN".parse().ok());
        let n = Notification {
            id: crate::NotificationId::new(crate::Timestamp::from_millis(1), &[1; 10]),
            app: "demo".parse().unwrap(),
            accepted_at: crate::Timestamp::from_millis(1),
            invalid_addresses: request.set_aside_invalid_addresses(&mut Vec::new()),
            request,
            updated_at: None,
            template_version: None,
            locale: None,
        };
        let channels: Vec<_> = (0..5).map(|place| n.invalid_channels(place)).collect();
        assert_eq!(channels, [vec![], vec![Channel::Email, Channel::Sms], vec![Channel::Sms], vec![], vec![]]);
        assert!(n.invalid_addresses[2].violation().message.starts_with("not a phone number of CN"));
        let kept = serde_json::to_string(&n).unwrap();
        assert_eq!(serde_json::from_str::<Notification>(&kept).unwrap(), n);
    }
}
