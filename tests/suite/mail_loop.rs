//! The whole loop on a real mail server: signed and encrypted to Postfix, refused, put off, bounced, and come back.

use std::{path::Path, process::Command};

use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use stentor_testkit::{Greylist, MailServer, Postfix, RedisServer, dkim_verifies, free_port, read_mail};
use stentor_tests::{
    Api, PATIENCE, eventually,
    serve::{Process, bank, settings, sqlite},
};

const ROLES: &str = "api,gateway,worker,bounce";

/// Stentor beside a Postfix that carries its bounces back to it.
pub struct Loop {
    pub postfix: Postfix,
    far: MailServer,
    pub api: Api,
    key_file: std::path::PathBuf,
    _stentor: Process,
    _redis: RedisServer,
    _dir: tempfile::TempDir,
}

impl Loop {
    /// `None` where Postfix cannot be started, since only root may.
    pub async fn start() -> Option<Self> {
        if !Postfix::can_run() {
            eprintln!("not root: Postfix is not started, and this test sees nothing");
            return None;
        }
        let (redis, dir, far) = (RedisServer::start(), tempfile::tempdir().unwrap(), MailServer::start());
        let bounces = free_port();
        let (to_stentor, to_far) = (format!("lmtp:inet:127.0.0.1:{bounces}"), format!("smtp:[127.0.0.1]:{}", far.port()));
        let postfix = Postfix::start(&[("bounces.example.com", &to_stentor), ("far.example", &to_far)]);
        let key_file = dir.path().join("dkim.pem");
        std::fs::write(&key_file, openssl(&["genpkey", "-algorithm", "ed25519"])).unwrap();
        let ca_file = postfix.ca_file();
        let own = [
            ("STENTOR__ROLES", ROLES),
            ("STENTOR__BOUNCE__LISTEN", &format!("127.0.0.1:{bounces}")),
            ("STENTOR__HTTP__PUBLIC_URL", "https://notify.example.com"),
            ("STENTOR__EMAIL__PROVIDERS", "main"),
            ("STENTOR__EMAIL__PROVIDER__MAIN__URL", &postfix.url()),
            ("STENTOR__EMAIL__PROVIDER__MAIN__CA_FILE", ca_file.to_str().unwrap()),
            ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "Example Bank <no-reply@example.com>"),
            ("STENTOR__EMAIL__PROVIDER__MAIN__RETURN_PATH", "bounce@bounces.example.com"),
            ("STENTOR__EMAIL__PROVIDER__MAIN__DKIM__DOMAIN", "example.com"),
            ("STENTOR__EMAIL__PROVIDER__MAIN__DKIM__SELECTOR", "s1"),
            ("STENTOR__EMAIL__PROVIDER__MAIN__DKIM__KEY_FILE", key_file.to_str().unwrap()),
        ];
        let settings = settings(&redis.url(), &sqlite(&dir), &own);
        let api = bank(&settings);
        let stentor = Process::start(&settings).await;
        Some(Self { postfix, far, api, key_file, _stentor: stentor, _redis: redis, _dir: dir })
    }

    async fn send(&self, id: &str, email: &str) -> String {
        self.api
            .send(&json!({
                "audience": {"recipients": [{"id": id, "email": email, "locale": "en"}]},
                "template": "card-repayment-due", "channels": ["email"],
                "data": {"amount": {"value": "1234.50", "currency": "CNY"}, "due_date": "2026-12-05", "card": "6222"},
            }))
            .await
    }

    async fn settled(&self, id: &str, state: &str) -> Value {
        eventually(state, async || {
            let deliveries = self.api.get(&format!("/v1/notifications/{id}/deliveries")).await;
            deliveries["items"].as_array()?.iter().find(|d| d["state"] == state).cloned()
        })
        .await
    }
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let out = Command::new("openssl").args(arguments).output().expect("openssl runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

/// The record's `p=` of an Ed25519 key.
fn public_key(key_file: &Path) -> String {
    let pem = String::from_utf8(openssl(&["pkey", "-pubout", "-in", key_file.to_str().unwrap()])).unwrap();
    pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()[16..].to_owned()
}

#[tokio::test]
async fn a_mail_arrives_encrypted_and_signed_with_a_text_and_a_way_out() {
    let Some(l) = Loop::start().await else { return };
    let id = l.send("maria", "maria@example.com").await;
    l.settled(&id, "sent").await;
    let raw = eventually("the mail", async || l.postfix.mails().pop()).await;
    let mail = read_mail(&raw);
    assert_eq!((&mail["type"], &mail["defects"]), (&json!("multipart/alternative"), &json!([])), "{raw}");
    let headers = &mail["headers"];
    assert!(headers["return-path"].as_str().unwrap().starts_with("<bounce+"), "{raw}");
    assert!(raw.contains("with ESMTPS"), "{raw}");
    let record = format!("v=DKIM1; k=ed25519; p={}", public_key(&l.key_file));
    // What Postfix put above it is not part of the signed mail.
    assert!(dkim_verifies(&raw, "s1._domainkey.example.com", &record), "{raw}");
    assert_eq!(headers["list-unsubscribe-post"], "List-Unsubscribe=One-Click");
    assert!(headers["list-unsubscribe"].as_str().unwrap().starts_with("<https://notify.example.com/unsubscribe/bank."));
}

#[tokio::test]
async fn a_bounce_comes_back_is_told_and_suppresses_the_address_alone() {
    let Some(l) = Loop::start().await else { return };
    let (gone, well) = (l.send("gone", "refuse-550@far.example").await, l.send("well", "well@far.example").await);
    // Postfix takes both; the server behind it refuses one, and Postfix returns it.
    let bounced = l.settled(&gone, "bounced").await;
    assert!(bounced["reason"].as_str().unwrap().starts_with("5.1.1 "), "{bounced}");
    assert!(!bounced["reason"].as_str().unwrap().contains("far.example"), "{bounced}");
    l.settled(&well, "sent").await;
    let listed = eventually("a suppression", async || {
        let listed = l.api.get("/v1/suppressions").await["items"].as_array()?.clone();
        (!listed.is_empty()).then_some(listed)
    })
    .await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!((&listed[0]["address"], &listed[0]["reason"]), (&json!("refuse-550@far.example"), &json!("hard_bounce")));
    let told = eventually("the story", async || {
        let timeline = l.api.get(&format!("/v1/notifications/{gone}/timeline")).await;
        let events = timeline["events"].as_array()?.clone();
        events.iter().any(|e| e["event"] == "suppressed").then_some(events)
    })
    .await;
    let states: Vec<&str> = told.iter().filter_map(|e| e["state"].as_str()).collect();
    assert_eq!(states, ["queued", "sent", "bounced"]);
    let again = l.send("gone", "Refuse-550@FAR.example").await;
    assert_eq!(l.settled(&again, "skipped").await["reason"], "suppressed");
    l.far.wait_for(1, PATIENCE).await; // Postfix carries it on after it has taken it
    assert_eq!(l.far.senders().len(), 1, "the one that was well");
}

#[tokio::test]
async fn who_is_refused_or_put_off_is_told_apart_by_postfix_as_well() {
    let Some(l) = Loop::start().await else { return };
    l.postfix.set_access(&[
        ("gone@example.com", "550 5.1.1 no such user"),
        ("policy@example.com", "554 5.7.1 not from you"),
        // As Postfix says it of a sender whom it does not know, once it hears of a recipient.
        ("sender@example.com", "550 5.1.0 <x@example.com>: Sender address rejected: User unknown"),
        ("later@example.com", "450 4.2.0 greylisted"),
    ]);
    // Postfix reads its answers anew within a moment.
    let gone = eventually("the answers", async || {
        let id = l.send("gone", "gone@example.com").await;
        let view = l.api.completed(&id).await;
        (view["counts"]["email"]["failed"] == 1 || view["counts"]["email"]["skipped"] == 1).then_some(id)
    })
    .await;
    let failed = l.api.get(&format!("/v1/notifications/{gone}/deliveries")).await["items"][0].clone();
    assert!(failed["reason"].as_str().unwrap().starts_with("550 5.1.1 "), "{failed}");
    let again = l.send("gone", "gone@example.com").await;
    assert_eq!(l.settled(&again, "skipped").await["reason"], "suppressed", "no such user: not asked again");
    for id in ["policy", "sender"] {
        let refused = l.send(id, &format!("{id}@example.com")).await;
        l.settled(&refused, "failed").await;
    }
    let later = l.send("later", "later@example.com").await;
    let waiting = l.settled(&later, "scheduled").await;
    assert!(waiting["reason"].as_str().unwrap().starts_with("450 4.2.0 "), "{waiting}");
    l.postfix.set_access(&[]);
    l.settled(&later, "sent").await;
    for id in ["policy", "sender"] {
        let again = l.send(id, &format!("{id}@example.com")).await;
        l.settled(&again, "sent").await;
    }
}

/// Debian's greylister before Debian's mail server: whom it has not seen it puts off, and takes once they come back.
#[tokio::test]
async fn who_is_greylisted_comes_back_and_is_taken_once() {
    let Some(l) = Loop::start().await else { return };
    let greylist = Greylist::start();
    l.postfix.ask_policy(greylist.port());
    // Postfix reads its configuration anew within a moment; by then somebody new is put off.
    let mut n = 0;
    let (id, waiting) = eventually("a greylisted mail", async || {
        n += 1;
        let id = l.send(&format!("grey{n}"), &format!("grey{n}@example.com")).await;
        let first = eventually("an attempt", async || {
            let deliveries = l.api.get(&format!("/v1/notifications/{id}/deliveries")).await;
            let delivery = deliveries["items"].as_array()?.first()?.clone();
            (delivery["attempts"].as_u64()? >= 1).then_some(delivery)
        })
        .await;
        (first["state"] == "scheduled").then_some((id, first))
    })
    .await;
    let reason = waiting["reason"].as_str().unwrap();
    assert!(reason.starts_with("450 4.2.0 ") && reason.contains("Greylisted") && !reason.contains("example.com"), "{reason}");
    assert_eq!(l.settled(&id, "sent").await["attempts"], 2);
    let mails = eventually("the mail", async || Some(l.postfix.mails()).filter(|mails| mails.len() == n)).await;
    assert_eq!(mails.iter().filter(|mail| mail.contains(&format!("grey{n}@example.com"))).count(), 1);
}

#[tokio::test]
async fn with_the_wrong_certificate_nothing_is_sent() {
    let Some(l) = Loop::start().await else { return };
    let (redis, dir, stranger) = (RedisServer::start(), tempfile::tempdir().unwrap(), Postfix::start(&[]));
    let ca_file = l.postfix.ca_file();
    let own = [
        ("STENTOR__EMAIL__PROVIDERS", "main"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__URL", &stranger.url()),
        ("STENTOR__EMAIL__PROVIDER__MAIN__CA_FILE", ca_file.to_str().unwrap()),
        ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "no-reply@example.com"),
    ];
    let settings = settings(&redis.url(), &sqlite(&dir), &own);
    let api = bank(&settings);
    let _stentor = Process::start(&settings).await;
    let body = json!({"audience": {"recipients": [{"id": "u", "email": "u@example.com"}]}, "content": {"title": "x"}, "channels": ["email"]});
    let id = api.send(&body).await;
    let waiting = eventually("a failed attempt", async || {
        let deliveries = api.get(&format!("/v1/notifications/{id}/deliveries")).await;
        deliveries["items"].as_array()?.iter().find(|d| d["state"] == "scheduled").cloned()
    })
    .await;
    assert!(waiting["reason"].as_str().unwrap().to_lowercase().contains("certificate"), "{waiting}");
    assert!(stranger.mails().is_empty());
}

/// A raw conversation with the listener, as any mail server could have it.
#[tokio::test]
async fn the_door_for_bounces_takes_what_is_ours_and_withstands_the_rest() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (redis, dir, smtp) = (RedisServer::start(), tempfile::tempdir().unwrap(), MailServer::start());
    let door = format!("127.0.0.1:{}", free_port());
    let own = [
        ("STENTOR__ROLES", ROLES),
        ("STENTOR__BOUNCE__LISTEN", door.as_str()),
        ("STENTOR__BOUNCE__MAX_BYTES", "65536"),
        ("STENTOR__EMAIL__PROVIDERS", "main"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__URL", &smtp.url()),
        ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "no-reply@example.com"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__RETURN_PATH", "bounce@bounces.example.com"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__EVENTS__SECRET", "0123456789abcdef"),
    ];
    let settings = settings(&redis.url(), &sqlite(&dir), &own);
    let api = bank(&settings);
    let stentor = Process::start(&settings).await;
    let send = async |n: u32| {
        let body = json!({"audience": {"recipients": [{"id": format!("u{n}"), "email": format!("u{n}@example.com")}]},
            "content": {"title": "x"}, "channels": ["email"]});
        let id = api.send(&body).await;
        api.completed(&id).await;
        (id, smtp.senders().pop().unwrap())
    };
    let state = async |id: &str, wanted: &str| {
        eventually(wanted, async || {
            let deliveries = api.get(&format!("/v1/notifications/{id}/deliveries")).await;
            (deliveries["items"][0]["state"] == wanted).then_some(())
        })
        .await;
    };
    let talk = async |text: &str| {
        let mut stream = tokio::net::TcpStream::connect(&door).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let codes: Vec<String> =
            answer.lines().filter(|l| l.as_bytes().get(3) == Some(&b' ')).map(|l| l[..3].to_owned()).collect();
        codes.join(" ")
    };
    let report = |n: u32, status: &str| {
        format!(
            "From: MAILER-DAEMON@mx.test\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status; boundary=B\r\n\r\n--B\r\nContent-Type: text/plain\r\n\r\n..\r\n\
             --B\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.test\r\n\r\n\
             Final-Recipient: rfc822; u{n}@example.com\r\nAction: failed\r\nStatus: {status}\r\n\r\n--B--\r\n"
        )
    };
    let (first, path) = send(1).await;
    // only addresses that name a mail of ours, signed by us
    let forged = path.replacen(['a', 'b'], "c", 3);
    let rcpt = format!(
        "EHLO mx.test\r\nRCPT TO:<{path}>\r\nMAIL FROM:<>\r\nRCPT TO:<{forged}>\r\nRCPT TO:<postmaster@example.com>\r\n\
         RCPT TO:<x>\r\nDATA\r\nMAIL FROM:<>\r\nVRFY x\r\nEXPN\r\nQUIT\r\n"
    );
    assert_eq!(talk(&rcpt).await, "220 250 503 250 550 550 550 503 503 252 502 221");
    // a holiday is no bounce; a mail that is too large is none either
    let holiday =
        format!("HELO x\r\nMAIL FROM:<a@b.cd>\r\nRCPT TO:<{path}>\r\nDATA\r\nSubject: away\r\n\r\nhello\r\n.\r\nQUIT\r\n");
    assert_eq!(talk(&holiday).await, "220 250 250 250 354 250 221");
    let large = format!("HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<{path}>\r\nDATA\r\n{}\r\n.\r\nQUIT\r\n", "x".repeat(200_000));
    assert_eq!(talk(&large).await, "220 250 250 250 354 552 221");
    assert_eq!(talk("HELO x\r\nMAIL FROM:<> SIZE=999999\r\nQUIT\r\n").await, "220 250 552 221");
    assert_eq!(talk(&format!("{}\r\nNOOP\r\nQUIT\r\n", "y".repeat(10_000))).await, "220 500 250 221");
    // a dot between bare line feeds ends nothing: what follows is still the text
    let smuggled = format!(
        "HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<{path}>\r\nDATA\r\nSubject: x\n.\nMAIL FROM:<>\nRCPT TO:<{path}>\nDATA\nx\n.\r\n.\r\nQUIT\r\n"
    );
    assert_eq!(talk(&smuggled).await, "220 250 250 250 354 250 221");
    let deliveries = api.get(&format!("/v1/notifications/{first}/deliveries")).await;
    assert_eq!(deliveries["items"][0]["state"], "sent");
    assert_eq!(talk(&"WHAT\r\n".repeat(40)).await.split(' ').next_back(), Some("421"));
    assert_eq!(talk(&"NOOP\r\n".repeat(600)).await.split(' ').next_back(), Some("421"), "nobody keeps a place by small talk");

    // LMTP answers for each; a repeat changes nothing
    for _ in 0..2 {
        let lmtp = format!(
            "LHLO mx.test\r\nMAIL FROM:<>\r\nRCPT TO:<{path}>\r\nRCPT TO:<{upper}>\r\nDATA\r\n{}.\r\nQUIT\r\n",
            report(1, "5.2.2"),
            upper = path.to_uppercase(),
        );
        assert_eq!(talk(&lmtp).await, "220 250 250 250 250 354 250 250 221");
    }
    state(&first, "bounced").await;
    assert_eq!(api.get("/v1/suppressions").await["items"], json!([]), "a full mailbox is not given up");

    // over HTTP, as the bounce came; by whoever knows the secret
    let (second, path) = send(2).await;
    let piped = format!("To: {path}\r\n{}", report(2, "5.1.1"));
    for (secret, expected) in [("wrong", StatusCode::NOT_FOUND), ("0123456789abcdef", StatusCode::NO_CONTENT)] {
        let url = format!("{}/v1/callbacks/email/main?secret={secret}", api.url);
        let call = stentor_tests::client().post(url).header(header::CONTENT_TYPE, "message/rfc822").body(piped.clone());
        assert_eq!(call.send().await.unwrap().status(), expected);
    }
    state(&second, "bounced").await;
    let listed = api.get("/v1/suppressions").await;
    assert_eq!((&listed["items"][0]["address"], &listed["items"][1]), (&json!("u2@example.com"), &Value::Null));

    // Who is in the midst of a mail when the process is to end brings it again, and the process does not wait.
    let mut stream = tokio::net::TcpStream::connect(&door).await.unwrap();
    stream.write_all(format!("HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<{path}>\r\nDATA\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    while !answer.contains("354") {
        let mut bytes = [0; 256];
        let read = stream.read(&mut bytes).await.unwrap();
        answer.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    stentor_tests::serve::signal(stentor.pid(), "TERM");
    let rest = tokio::time::timeout(std::time::Duration::from_secs(20), stream.read_to_string(&mut answer)).await;
    rest.expect("it is told in time").unwrap();
    assert!(answer.contains("\r\n421 "), "{answer}");
}
