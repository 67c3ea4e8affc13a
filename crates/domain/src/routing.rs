//! Which channels a recipient is reached on, and why not on the others.

use crate::{Channel, EmailAddress, PhoneNumber, Profile, SkipReason, Timestamp};

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
/// address. `invalid` are the channels for which the request gave an address that is none: the profile has an older one, and who gave another
/// does not mean that. `suppressed` are those on which the address that the profile has is not written to. Everyone has an inbox.
pub fn route(
    profile: &Profile,
    channels: &[Channel],
    category: Option<&str>,
    invalid: &[Channel],
    suppressed: &[Channel],
) -> Vec<Route> {
    let decide = |&channel: &Channel| {
        if !profile.preferences.allows(category, channel) {
            return Route::Skip(channel, SkipReason::Preference);
        }
        if invalid.contains(&channel) {
            return Route::Skip(channel, SkipReason::InvalidAddress);
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

/// What would become of one delivery, were the notification sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It would go there, not before `at`.
    Send {
        /// Where.
        route: Route,
        /// The earliest time.
        at: Timestamp,
    },
    /// It would be skipped.
    Skip(Channel, SkipReason),
    /// Its time would be over before it is sent.
    Expired(Channel),
}

impl Decision {
    /// The channel.
    pub fn channel(&self) -> Channel {
        match self {
            Self::Send { route: Route::Inbox, .. } => Channel::Inbox,
            Self::Send { route: Route::Email(_), .. } => Channel::Email,
            Self::Send { route: Route::Sms(_), .. } => Channel::Sms,
            Self::Send { route: Route::Skip(channel, _), .. } | Self::Skip(channel, _) | Self::Expired(channel) => *channel,
        }
    }
}

/// What would become of the deliveries of `routes`, as dispatch decides it at `due`, or `now` if that is past.
pub fn decide(routes: Vec<Route>, due: Timestamp, expires: Option<Timestamp>, now: Timestamp) -> Vec<Decision> {
    let at = due.max(now);
    let of = |route: Route| match route {
        Route::Skip(channel, reason) => Decision::Skip(channel, reason),
        route => {
            let send = Decision::Send { route, at };
            if expires.is_some_and(|expires| expires <= at) { Decision::Expired(send.channel()) } else { send }
        }
    };
    routes.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_done_and_when() {
        let at = Timestamp::from_millis;
        let routes = || vec![Route::Inbox, Route::Skip(Channel::Sms, SkipReason::NoAddress)];
        let skip = Decision::Skip(Channel::Sms, SkipReason::NoAddress);
        let send = |millis| Decision::Send { route: Route::Inbox, at: at(millis) };
        assert_eq!(decide(routes(), at(5), None, at(9)), [send(9), skip.clone()]);
        assert_eq!(decide(routes(), at(20), Some(at(30)), at(9)), [send(20), skip.clone()]);
        assert_eq!(decide(routes(), at(30), Some(at(30)), at(9)), [Decision::Expired(Channel::Inbox), skip]);
    }

    #[test]
    fn a_wish_comes_before_an_address_and_an_inbox_is_always_there() {
        let mut profile = Profile { email: "a@example.com".parse().ok(), ..Profile::default() };
        profile.preferences.channels.insert(Channel::Email, false);
        assert_eq!(
            route(&profile, &Channel::ALL, None, &[], &[]),
            [Route::Inbox, Route::Skip(Channel::Email, SkipReason::Preference), Route::Skip(Channel::Sms, SkipReason::NoAddress),]
        );
    }

    #[test]
    fn an_address_that_is_suppressed_is_not_written_to_and_one_that_is_absent_is_missed_first() {
        let profile = Profile { email: "a@example.com".parse().ok(), ..Profile::default() };
        assert_eq!(
            route(&profile, &[Channel::Email, Channel::Sms], None, &[], &[Channel::Email, Channel::Sms]),
            [Route::Skip(Channel::Email, SkipReason::Suppressed), Route::Skip(Channel::Sms, SkipReason::NoAddress)]
        );
    }

    #[test]
    fn who_was_given_an_address_that_is_none_is_not_written_to_at_an_older_one_and_hears_of_it_elsewhere() {
        let mut profile =
            Profile { email: "old@example.com".parse().ok(), phone: "+491701234567".parse().ok(), ..Profile::default() };
        let routes = |profile: &Profile| route(profile, &Channel::ALL, None, &[Channel::Email], &[Channel::Email]);
        let sms = Route::Sms("+491701234567".parse().unwrap());
        assert_eq!(routes(&profile), [Route::Inbox, Route::Skip(Channel::Email, SkipReason::InvalidAddress), sms.clone()]);
        profile.preferences.channels.insert(Channel::Email, false);
        assert_eq!(routes(&profile), [Route::Inbox, Route::Skip(Channel::Email, SkipReason::Preference), sms]);
    }
}
