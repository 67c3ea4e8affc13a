//! Which channels a recipient is reached on, and why not on the others.

use crate::{Channel, EmailAddress, PhoneNumber, Profile, SkipReason};

/// Where a delivery goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Into the inbox.
    Inbox,
    /// To a mailbox.
    Email(EmailAddress),
    /// To a phone.
    Sms(PhoneNumber),
    /// Nowhere.
    Skip(Channel, SkipReason),
}

/// Decides for one recipient, for each of `channels` in turn.
///
/// A preference is asked before the address, so that a person who opted out is told so and not asked for an
/// address. `suppressed` are the channels on which the address that the profile has is not written to. Everyone has an inbox.
pub fn route(profile: &Profile, channels: &[Channel], category: Option<&str>, suppressed: &[Channel]) -> Vec<Route> {
    let decide = |&channel: &Channel| {
        if !profile.preferences.allows(category, channel) {
            return Route::Skip(channel, SkipReason::Preference);
        }
        let found = match channel {
            Channel::Inbox => Some(Route::Inbox),
            Channel::Email => profile.email.clone().map(Route::Email),
            Channel::Sms => profile.phone.clone().map(Route::Sms),
        };
        match found {
            None => Route::Skip(channel, SkipReason::NoAddress),
            Some(_) if suppressed.contains(&channel) => Route::Skip(channel, SkipReason::Suppressed),
            Some(route) => route,
        }
    };
    channels.iter().map(decide).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_comes_before_an_address_and_an_inbox_is_always_there() {
        let mut profile = Profile { email: "a@example.com".parse().ok(), ..Profile::default() };
        profile.preferences.channels.insert(Channel::Email, false);
        assert_eq!(
            route(&profile, &Channel::ALL, None, &[]),
            [Route::Inbox, Route::Skip(Channel::Email, SkipReason::Preference), Route::Skip(Channel::Sms, SkipReason::NoAddress),]
        );
    }

    #[test]
    fn an_address_that_is_suppressed_is_not_written_to_and_one_that_is_absent_is_missed_first() {
        let profile = Profile { email: "a@example.com".parse().ok(), ..Profile::default() };
        assert_eq!(
            route(&profile, &[Channel::Email, Channel::Sms], None, &[Channel::Email, Channel::Sms]),
            [Route::Skip(Channel::Email, SkipReason::Suppressed), Route::Skip(Channel::Sms, SkipReason::NoAddress)]
        );
    }
}
