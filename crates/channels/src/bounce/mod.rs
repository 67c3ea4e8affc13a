//! What comes back of mails: bounces (RFC 3464), complaints (RFC 5965), and what providers report by HTTP.
//!
//! Whichever way it comes, it says of which mail it is by the token of its return path ([`ReturnToken`]); that alone is
//! believed, since its signature is ours.

mod events;
mod parts;
mod report;
mod sns;

use stentor_domain::EmailAddress;

use crate::ReturnToken;

pub use events::{BadEvents, EventKind, EventRule, EventsCall, EventsConfig, EventsPreset, MailEvents};
pub use report::read_report;

/// What was reported of one mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounce {
    /// Of which mail.
    pub token: ReturnToken,
    /// What became of it.
    pub kind: BounceKind,
    /// Why, without addresses: `5.1.1 smtp; 550 5.1.1 User unknown`.
    pub detail: String,
    /// The addresses that the report names, of which one may be that of the mail.
    pub addresses: Vec<EmailAddress>,
}

/// What became of a mail that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BounceKind {
    /// It came back, and would again: the mailbox does not exist.
    Hard,
    /// It came back, for a reason that may pass: a full mailbox, a policy, a server that was not there for days.
    Soft,
    /// The person called it spam.
    Complaint,
    /// The person wants no more of it.
    Unsubscribe,
    /// It is in the mailbox.
    Delivered,
    /// It is on its way; nothing to record.
    UnderWay,
}

/// Whether an enhanced status code (RFC 3463) of a mail that came back says that there is no such mailbox. 5xx is permanent for a mail,
/// but a policy, a size or a full mailbox is not so for the next one, and what is wrong with our own address is nobody else's.
pub(crate) fn is_hard(status: &str) -> bool {
    let Some((5, subject, detail)) = numbers(status) else { return false };
    match subject {
        0 => true,                             // undefined
        1 => !matches!(detail, 5 | 7 | 8 | 9), // address: valid; of the sender (7, 8); a relay's trouble
        2 => detail <= 1,                      // mailbox: disabled
        4 => detail == 4,                      // network: the domain leads nowhere
        _ => false,                            // system, protocol, content, security
    }
}

/// Whether a mail server that refuses a mail at once says by this code that there is no such mailbox. What is unspecific (`x.y.0`) may
/// as well be about the sender, whom many servers refuse only once they hear of a recipient.
pub fn says_no_mailbox(status: &str) -> bool {
    is_hard(status) && numbers(status).is_some_and(|(_, _, detail)| detail > 0)
}

fn numbers(status: &str) -> Option<(u16, u16, u16)> {
    let mut numbers = status.split('.').map(|n| n.parse::<u16>().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mailbox_that_does_not_exist_is_given_up() {
        for hard in ["5.1.1", "5.1.2", "5.1.10", "5.0.0", "5.2.1", "5.4.4"] {
            assert!(is_hard(hard), "{hard}");
        }
        for soft in ["4.1.1", "4.4.1", "5.1.7", "5.1.8", "5.2.2", "5.3.4", "5.4.6", "5.7.1", "2.0.0", "", "5", "5.x.1", "5.1"] {
            assert!(!is_hard(soft) && !says_no_mailbox(soft), "{soft}");
        }
    }

    #[test]
    fn what_may_be_about_the_sender_gives_up_no_recipient() {
        for unspecific in ["5.0.0", "5.1.0", "5.2.0"] {
            assert!(is_hard(unspecific) && !says_no_mailbox(unspecific), "{unspecific}");
        }
        assert!(says_no_mailbox("5.1.1") && says_no_mailbox("5.1.10") && says_no_mailbox("5.2.1"));
    }
}
