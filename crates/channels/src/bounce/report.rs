//! Reports that come as mails: delivery status notifications (RFC 3464) and feedback reports (RFC 5965).

use std::collections::HashMap;

use mail_parser::Message;
use stentor_domain::EmailAddress;

use super::{
    Bounce, BounceKind, is_hard,
    parts::{Part, headers, parts},
};
use crate::{ReturnToken, scrub::scrub};

/// The most recipients of one report that are looked at.
const MAX_RECIPIENTS: usize = 100;

/// Reads a mail that came back to `recipients` (the envelope's, if known). `None` if it is no report, such as the answer of somebody who
/// is on holiday, or names no mail of ours.
pub fn read_report(raw: &[u8], recipients: &[String]) -> Option<Bounce> {
    let (mail, parts) = (headers(raw)?, parts(raw));
    let (status, feedback) = (part(&parts, "delivery-status"), part(&parts, "feedback-report"));
    let original = original_headers(&parts);
    let feedback = feedback.map(|text| groups(&text).into_iter().flatten().collect::<HashMap<_, _>>());
    let places = recipients
        .iter()
        .cloned()
        .chain(["delivered-to", "x-original-to", "to"].into_iter().flat_map(|name| own_headers(&mail, name)))
        .chain(feedback.iter().filter_map(|fields| fields.get("original-mail-from").cloned()))
        .chain(original.get("return-path").cloned());
    let token = places.flat_map(|place| addresses_in(&place)).find_map(|address| ReturnToken::find(&address))?;
    if let Some(fields) = feedback {
        let addresses =
            fields.get("original-rcpt-to").into_iter().chain(original.get("to")).flat_map(|text| mailboxes(text)).collect();
        let kind = match fields.get("feedback-type").map(String::as_str) {
            Some("not-spam") => BounceKind::UnderWay,
            _ => BounceKind::Complaint,
        };
        let detail = fields.get("feedback-type").map_or("complaint", String::as_str);
        return Some(Bounce { token, kind, detail: scrub(detail, &[]), addresses });
    }
    let mut said: Vec<(BounceKind, String, Vec<EmailAddress>)> =
        groups(&status?).iter().skip(1).take(MAX_RECIPIENTS).filter_map(recipient).collect();
    // A mail of ours has one recipient; of a list behind it the worst news counts.
    said.sort_by_key(|(kind, ..)| u8::from(matches!(kind, BounceKind::Hard)) * 2 + u8::from(matches!(kind, BounceKind::Soft)));
    let (kind, detail, addresses) = said.pop()?;
    Some(Bounce { token, kind, detail, addresses })
}

/// What a report says of one recipient.
fn recipient(fields: &HashMap<String, String>) -> Option<(BounceKind, String, Vec<EmailAddress>)> {
    let action = fields.get("action")?.to_ascii_lowercase();
    let status = fields.get("status").map_or("", String::as_str);
    let status = status.split_whitespace().next().unwrap_or_default();
    let kind = match action.as_str() {
        "failed" if is_hard(status) => BounceKind::Hard,
        "failed" => BounceKind::Soft,
        "delivered" => BounceKind::Delivered,
        _ => BounceKind::UnderWay, // delayed, relayed, expanded
    };
    let typed = |name: &str| fields.get(name).map(|text| text.split_once(';').map_or(text.as_str(), |(_, address)| address));
    let addresses: Vec<EmailAddress> =
        ["original-recipient", "final-recipient"].into_iter().filter_map(typed).flat_map(mailboxes).collect();
    let names: Vec<&str> =
        addresses.iter().flat_map(|a| [a.as_str(), a.as_str().split('@').next().unwrap_or_default()]).collect();
    let why = fields.get("diagnostic-code").map_or("", String::as_str);
    Some((kind, scrub(format!("{status} {why}").trim(), &names), addresses))
}

/// The text of the part `message/SUBTYPE`.
fn part(parts: &[Part<'_>], subtype: &str) -> Option<String> {
    let global = format!("global-{subtype}");
    parts.iter().find(|part| part.is("message", &[subtype, &global])).map(Part::text)
}

/// The headers of the mail that came back, from wherever it is quoted.
fn original_headers(parts: &[Part<'_>]) -> HashMap<String, String> {
    let quotes = |part: &&Part<'_>| {
        part.is("message", &["rfc822", "global", "rfc822-headers", "global-headers"]) || part.is("text", &["rfc822-headers"])
    };
    let quoted = parts.iter().find(quotes).map(Part::text);
    quoted.map(|text| groups(&text).into_iter().next().unwrap_or_default()).unwrap_or_default()
}

fn own_headers(mail: &Message<'_>, name: &str) -> Vec<String> {
    mail.headers_raw().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).collect()
}

/// Groups of `Name: value` lines, folded or not, parted by empty lines. Names in small letters; of repeated ones the first.
fn groups(text: &str) -> Vec<HashMap<String, String>> {
    let mut groups: Vec<HashMap<String, String>> = vec![HashMap::new()];
    let mut last: Option<String> = None;
    for line in text.lines().take(2_000) {
        if line.trim().is_empty() {
            if groups.last().is_some_and(|group| !group.is_empty()) {
                groups.push(HashMap::new());
            }
            last = None;
        } else if let (true, Some(name)) = (line.starts_with([' ', '\t']), &last) {
            if let Some(value) = groups.last_mut().and_then(|group| group.get_mut(name)) {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            let name = name.trim().to_ascii_lowercase();
            if let Some(group) = groups.last_mut() {
                group.entry(name.clone()).or_insert_with(|| value.trim().to_owned());
            }
            last = Some(name);
        }
    }
    groups.retain(|group| !group.is_empty());
    groups
}

/// What looks like addresses in a header's value.
fn addresses_in(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';' | '"'));
    parts.filter(|part| part.contains('@') || part.len() > 40).map(str::to_owned).collect()
}

fn mailboxes(text: &str) -> Vec<EmailAddress> {
    addresses_in(text).iter().filter_map(|address| address.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use stentor_domain::{AppId, Channel, DeliveryId, NotificationId, SuppressedAddress, Timestamp};

    use super::*;

    fn token() -> ReturnToken {
        let app: AppId = "demo".parse().unwrap();
        let notification = NotificationId::new(Timestamp::from_millis(1_790_000_000_000), &[7; 10]);
        let delivery = DeliveryId::new(notification, &"u1".parse().unwrap(), Channel::Email);
        ReturnToken::new(&app, b"secret", delivery, &SuppressedAddress::parse(Channel::Email, "maria@example.com").unwrap())
    }

    /// As Postfix 3.7 writes it.
    fn dsn(action: &str, status: &str, diagnostic: &str) -> String {
        let to = format!("bounce+{}@bounces.example.com", token());
        format!(
            "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.test (Mail Delivery System)\r\nSubject: Undelivered Mail Returned to Sender\r\n\
             To: {to}\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"B\"\r\n\r\n\
             --B\r\nContent-Description: Notification\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nI'm sorry.\r\n\r\n\
             --B\r\nContent-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n\r\n\
             Reporting-MTA: dns; mx.test\r\nX-Postfix-Sender: rfc822; {to}\r\nArrival-Date: Wed, 25 Nov 2026 21:00:00 +0000 (UTC)\r\n\r\n\
             Final-Recipient: rfc822; maria@example.com\r\nOriginal-Recipient: rfc822;Maria@example.com\r\nAction: {action}\r\n\
             Status: {status}\r\nRemote-MTA: dns; mx.example.com\r\nDiagnostic-Code: smtp; {diagnostic}\r\n\r\n\
             --B\r\nContent-Description: Undelivered Message\r\nContent-Type: message/rfc822\r\n\r\n\
             Return-Path: <{to}>\r\nTo: maria@example.com\r\nSubject: Hello\r\n\r\nHello\r\n\r\n--B--\r\n"
        )
    }

    #[test]
    fn a_delivery_status_says_what_and_why_and_names_nobody() {
        let read = |action: &str, status: &str| {
            read_report(dsn(action, status, "550 5.1.1\r\n    <maria@example.com>: User unknown").as_bytes(), &[]).unwrap()
        };
        let bounce = read("failed", "5.1.1");
        assert_eq!((bounce.token, bounce.kind), (token(), BounceKind::Hard));
        assert_eq!(bounce.detail, "5.1.1 smtp; 550 5.1.1 [hidden] User unknown");
        assert_eq!(bounce.addresses[0].as_str(), "Maria@example.com");
        for (action, status, kind) in [
            ("failed", "4.4.1", BounceKind::Soft),
            ("failed", "5.2.2", BounceKind::Soft),
            ("failed", "5.7.1 (policy)", BounceKind::Soft),
            ("Delayed", "4.4.1", BounceKind::UnderWay),
            ("relayed", "2.0.0", BounceKind::UnderWay),
            ("delivered", "2.0.0", BounceKind::Delivered),
        ] {
            assert_eq!(read(action, status).kind, kind, "{action} {status}");
        }
    }

    #[test]
    fn the_envelope_tells_whose_it_is_where_the_headers_were_lost() {
        let to = format!("bounce+{}@bounces.example.com", token());
        let raw = dsn("failed", "5.1.1", "550 no").replace(&to, "postmaster@example.com");
        assert_eq!(read_report(raw.as_bytes(), &[]), None);
        assert_eq!(read_report(raw.as_bytes(), &[to.to_uppercase()]).unwrap().token, token());
    }

    #[test]
    fn a_complaint_is_told_by_the_report_of_a_mailbox_provider() {
        let raw = format!(
            "From: <feedback@provider.test>\r\nTo: <fbl@example.com>\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=feedback-report; boundary=\"B\"\r\n\r\n\
             --B\r\nContent-Type: text/plain\r\n\r\nThis is an email abuse report.\r\n\
             --B\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: P/1\r\nVersion: 1\r\n\
             Original-Mail-From: <bounce+{}@bounces.example.com>\r\nOriginal-Rcpt-To: <maria@example.com>\r\n\r\n\
             --B\r\nContent-Type: message/rfc822\r\n\r\nTo: maria@example.com\r\nSubject: Hello\r\n\r\nHello\r\n--B--\r\n",
            token()
        );
        let bounce = read_report(raw.as_bytes(), &[]).unwrap();
        assert_eq!((bounce.kind, bounce.detail.as_str()), (BounceKind::Complaint, "abuse"));
        assert_eq!(bounce.addresses[0].as_str(), "maria@example.com");
    }

    #[test]
    fn who_is_on_holiday_has_not_bounced_and_nonsense_breaks_nothing() {
        let to = format!("bounce+{}@bounces.example.com", token());
        let holiday = format!("To: {to}\r\nAuto-Submitted: auto-replied\r\nSubject: I am away\r\n\r\nUntil Monday.\r\n");
        assert_eq!(read_report(holiday.as_bytes(), std::slice::from_ref(&to)), None);
        let whole = dsn("failed", "5.1.1", "550 no");
        for end in (0..whole.len()).step_by(7) {
            let _ = read_report(&whole.as_bytes()[..end], std::slice::from_ref(&to));
        }
        for bad in [&b""[..], b"\0\xff\r\n\r\n", b"Content-Type: multipart/report; boundary=\"\"\r\n\r\n--"] {
            assert_eq!(read_report(bad, std::slice::from_ref(&to)), None);
        }
    }

    /// Parts within parts, and mails within mails, as deep as the 1 MiB that is taken carries them: neither stack nor time runs out.
    #[test]
    fn parts_within_parts_break_nothing_however_deep() {
        const MOST: usize = 1024 * 1024;
        let to = format!("bounce+{}@bounces.example.com", token());
        let head = format!("To: {to}\r\nMIME-Version: 1.0\r\n");
        let multipart = |n: usize| format!("Content-Type: multipart/mixed; boundary=\"b{n}\"\r\n\r\n--b{n}\r\n");
        let mail = |_: usize| "Content-Type: message/rfc822\r\n\r\n".to_owned();
        let digest = |n: usize| format!("Content-Type: multipart/digest; boundary=\"b{n}\"\r\n\r\n--b{n}\r\n\r\n");
        let comment = |n: usize| if n == 0 { "Content-Type: ".to_owned() } else { "(".to_owned() };
        let same = |_: usize| "Content-Type: multipart/report; boundary=B\r\n\r\n--B\r\n".to_owned();
        let wide = |n: usize| if n == 0 { multipart(0) } else { "Content-Type: text/plain\r\n\r\nx\r\n--b0\r\n".to_owned() };
        let deep: [&dyn Fn(usize) -> String; 6] = [&multipart, &mail, &digest, &comment, &same, &wide];
        for (which, part) in deep.iter().enumerate() {
            let mut raw = head.clone();
            for n in 0.. {
                let next = part(n);
                if raw.len() + next.len() > MOST {
                    break;
                }
                raw.push_str(&next);
            }
            let begun = std::time::Instant::now();
            assert_eq!(read_report(raw.as_bytes(), std::slice::from_ref(&to)), None, "{which}");
            let encoded = data_encoding::BASE64_MIME.encode(raw.as_bytes());
            let wrapped = format!("{head}Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}");
            assert_eq!(read_report(wrapped.as_bytes(), std::slice::from_ref(&to)), None, "{which} in base64");
            assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{which} took {:?}", begun.elapsed());
        }
        // A report to which a list has added its footer is still one, and so is one whose parts are encoded.
        let whole = dsn("failed", "5.1.1", "550 5.1.1 no");
        let (_, report) = whole.split_once("MIME-Version: 1.0\r\n").unwrap();
        let footed = format!("{head}{}{report}\r\n--b0\r\n\r\nA footer.\r\n--b0--\r\n", multipart(0));
        let status = report.split("message/delivery-status\r\n\r\n").nth(1).unwrap().split("--B").next().unwrap();
        let encoded = format!(
            "message/delivery-status\r\nContent-Transfer-Encoding: BASE64\r\n\r\n{}\r\n",
            data_encoding::BASE64_MIME.encode(status.as_bytes())
        );
        let encoded = whole.replace(&format!("message/delivery-status\r\n\r\n{status}"), &encoded);
        for mail in [&whole, &footed, &encoded] {
            let bounce = read_report(mail.as_bytes(), &[]).unwrap_or_else(|| panic!("none in {mail}"));
            assert_eq!((bounce.token, bounce.kind, bounce.addresses.len()), (token(), BounceKind::Hard, 2), "{mail}");
        }
    }

    /// Whatever is cut out, doubled or overwritten in a report: it is read, or it is none, and it is never of another mail.
    #[test]
    fn a_report_that_was_damaged_is_never_another() {
        let whole = dsn("failed", "5.1.1", "550 5.1.1 no").into_bytes();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        for _ in 0..5_000 {
            let mut raw = whole.clone();
            for _ in 0..=random(4) {
                let (from, length) = (random(raw.len()), random(80));
                let to = raw.len().min(from + length);
                match random(3) {
                    0 => drop(raw.drain(from..to)),
                    1 => {
                        let copy = raw[from..to].to_vec();
                        let place = random(raw.len());
                        raw.splice(place..place, copy);
                    }
                    _ => raw[from] = u8::try_from(random(256)).unwrap(),
                }
            }
            if let Some(bounce) = read_report(&raw, &[]) {
                assert!(bounce.token == token() || !bounce.token.is_of(&"demo".parse().unwrap(), b"secret"), "{bounce:?}");
                assert!(!bounce.detail.contains(['\r', '\n', '@']), "{bounce:?}");
            }
        }
    }
}
