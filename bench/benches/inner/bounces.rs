//! Reports of mails that came back (RFC 3464), as Postfix writes them.

use std::hint::black_box;

use mail_parser::MessageParser;
use stentor_channels::{ReturnToken, read_report};
use stentor_domain::{AppId, Channel, DeliveryId, NotificationId, SuppressedAddress, Timestamp};

use crate::beside::Bench;

pub(crate) fn measure(bench: &mut Bench) {
    let app: AppId = "bank".parse().expect("an id");
    let notification = NotificationId::new(Timestamp::from_millis(1_795_694_400_000), &[7; 10]);
    let delivery = DeliveryId::new(notification, &"u1".parse().expect("an id"), Channel::Email);
    let address = SuppressedAddress::parse(Channel::Email, "maria@example.com").expect("an address");
    let token = ReturnToken::new(&app, b"secret", delivery, &address);
    let raw = report(&format!("bounce+{token}@bounces.example.com"));
    assert!(read_report(raw.as_bytes(), &[]).is_some_and(|bounce| bounce.token == token));
    bench
        .work("read a bounce", || read_report(black_box(raw.as_bytes()), &[]))
        .beside("mail-parser at all of it", || MessageParser::default().parse(black_box(raw.as_bytes())).is_some());
}

fn report(to: &str) -> String {
    format!(
        "Return-Path: <>\r\nReceived: by mx.test (Postfix) id 4F2A7120; Wed, 25 Nov 2026 21:00:01 +0000 (UTC)\r\n\
         Date: Wed, 25 Nov 2026 21:00:01 +0000 (UTC)\r\nFrom: MAILER-DAEMON@mx.test (Mail Delivery System)\r\n\
         Subject: Undelivered Mail Returned to Sender\r\nTo: {to}\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"4F2A7120.1764104401/mx.test\"\r\n\r\n\
         This is a MIME-encapsulated message.\r\n\r\n--4F2A7120.1764104401/mx.test\r\nContent-Description: Notification\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\r\nThis is the mail system at host mx.test.\r\n\r\n\
         I'm sorry to have to inform you that your message could not\r\nbe delivered to one or more recipients.\r\n\r\n\
         --4F2A7120.1764104401/mx.test\r\nContent-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; mx.test\r\nX-Postfix-Sender: rfc822; {to}\r\nArrival-Date: Wed, 25 Nov 2026 21:00:00 +0000 (UTC)\r\n\r\n\
         Final-Recipient: rfc822; maria@example.com\r\nOriginal-Recipient: rfc822;maria@example.com\r\nAction: failed\r\n\
         Status: 5.1.1\r\nRemote-MTA: dns; mx.example.com\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 <maria@example.com>: Recipient address rejected:\r\n    User unknown\r\n\r\n\
         --4F2A7120.1764104401/mx.test\r\nContent-Description: Undelivered Message\r\nContent-Type: message/rfc822\r\n\r\n\
         Return-Path: <{to}>\r\nTo: maria@example.com\r\nSubject: Your card repayment is due\r\n\r\n{}\r\n\
         --4F2A7120.1764104401/mx.test--\r\n",
        "Dear customer, your repayment is due on December 5.\r\n".repeat(60)
    )
}
