//! What a spam filter finds to say about the shape of our mails: nothing, of every template that ships, in every language of it.

use std::{collections::BTreeMap, io::Write, process::Command};

use serde_json::{Value, json};
use stentor_templates::Library;
use stentor_tests::eventually;

use crate::mail_loop::Loop;

/// What `SpamAssassin` says, at no points or fewer, of mails that have HTML, that come from the loopback, and that are signed, without asking
/// the DNS whether well; and, of one in thousands, that a random token in it looks like the address of a Bitcoin wallet.
const SAID_OF_EVERY_MAIL: [&str; 7] =
    ["HTML_MESSAGE", "ALL_TRUSTED", "NO_RELAYS", "NO_RECEIVED", "DKIM_SIGNED", "DKIM_INVALID", "PDS_BTC_ID"];
/// The same, at a thousandth of a point, of a large picture with few words beside it, which a piece of breaking news is; by itself it goes to
/// inboxes alone.
const SAID_OF_PICTURES: [&str; 4] = ["HTML_IMAGE_RATIO_02", "HTML_IMAGE_RATIO_04", "HTML_IMAGE_RATIO_06", "HTML_IMAGE_RATIO_08"];

#[tokio::test]
async fn a_spam_filter_has_nothing_to_say_of_any_template_in_any_language() {
    let Some(l) = Loop::start().await else { return };
    let library = Library::builtin().unwrap_or_else(|e| panic!("{e}"));
    let mut names = Vec::new();
    for template in library.list() {
        for (sample, data) in template.samples() {
            let people: Vec<Value> = template
                .locales()
                .map(|locale| {
                    let name = format!("{}.{}.{sample}", template.key(), locale.as_str());
                    json!({"id": name, "email": format!("{name}@example.com"), "locale": locale.as_str()})
                })
                .collect();
            names.extend(people.iter().map(|person| person["id"].as_str().unwrap().to_owned()));
            let body =
                json!({"audience": {"recipients": people}, "template": template.key(), "channels": ["email"], "data": data});
            l.api.send(&body).await;
        }
    }
    assert!(names.len() >= 6 * 4, "six templates in four languages: {names:?}");
    let mails = eventually("all mails", async || Some(l.postfix.mails()).filter(|mails| mails.len() == names.len())).await;
    let verdicts = judged(&mails);
    assert_eq!(verdicts.len(), names.len());
    let mut wrong = Vec::new();
    for (name, (score, rules)) in &verdicts {
        let is_news = name.starts_with("breaking-news.");
        let is_said = |rule: &str| SAID_OF_EVERY_MAIL.contains(&rule) || (is_news && SAID_OF_PICTURES.contains(&rule));
        if *score > 0.01 || !rules.iter().all(|rule| is_said(rule)) {
            wrong.push(format!("{name}: {score} {rules:?}"));
        }
    }
    assert!(wrong.is_empty(), "SpamAssassin says\n{}", wrong.join("\n"));
}

/// The points that Debian's `SpamAssassin`, without the network, gives each mail, and the rules that it meets, by the name in its address.
fn judged(mails: &[String]) -> BTreeMap<String, (f64, Vec<String>)> {
    let home = tempfile::tempdir().unwrap();
    let mbox = home.path().join("mbox");
    let mut file = std::fs::File::create(&mbox).unwrap();
    for mail in mails {
        let mail = mail.replace("\r\n", "\n").replace("\nFrom ", "\n>From ");
        writeln!(file, "From test@example.com Thu Nov 26 12:00:00 2026\n{mail}").unwrap();
    }
    let mut command = Command::new("spamassassin");
    command.args(["--local", "--siteconfigpath", "/etc/spamassassin", "--mbox"]).arg(&mbox).env("HOME", home.path());
    let out = command.output().expect("SpamAssassin runs: `make test-deps` installs it");
    let out = String::from_utf8_lossy(&out.stdout).into_owned();
    let verdict = |mail: &str| {
        let name = mail.split("\nTo: ").nth(1)?.split('@').next()?.to_owned();
        // "X-Spam-Status: No, score=0.1 required=5.0 tests=A,B,\n\tC autolearn=…"
        let status = mail.split("X-Spam-Status:").nth(1).unwrap_or_else(|| panic!("no verdict in {mail}"));
        let after = |name: &str| status.split(name).nth(1).unwrap_or_default();
        let score = after("score=").split_whitespace().next().and_then(|text| text.parse().ok()).expect("a score");
        let tests = after("tests=").split("autolearn").next().unwrap_or_default();
        let tests = tests.split([',', '\n', '\t', ' ']).filter(|rule| !rule.is_empty() && *rule != "none");
        Some((name, (score, tests.map(str::to_owned).collect())))
    };
    out.split("\nFrom test@example.com").filter_map(verdict).collect()
}
