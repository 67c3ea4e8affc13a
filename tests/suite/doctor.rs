//! `stentor doctor`: what is not well is named, with what is to be done.

use std::process::Command;

use serde_json::{Value, json};
use stentor_testkit::{MailServer, NameServer, RedisServer, SmsGateway, free_port};
use stentor_tests::{serve::sqlite, stentor};

/// The findings by name, and whether the command was content.
fn ask(dns: &NameServer, settings: &[(&str, &str)]) -> (Vec<(String, String, String)>, bool) {
    let mut command: Command = stentor();
    command.args(["--json", "doctor", "--dns", &dns.address()]).envs(settings.iter().copied());
    let out = command.output().unwrap();
    let found: Vec<Value> = serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|e| panic!("{e}: {} {}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (found.iter().map(|f| (text(&f["what"]), text(&f["health"]), text(&f["advice"]))).collect(), out.status.success())
}

#[tokio::test]
async fn what_is_not_well_is_named_and_how_to_mend_it() {
    let (redis, smtp, dir) = (RedisServer::start(), MailServer::start(), tempfile::tempdir().unwrap());
    let key_file = dir.path().join("key.pem");
    let key = Command::new("openssl").args(["genpkey", "-algorithm", "ed25519"]).output().unwrap();
    std::fs::write(&key_file, key.stdout).unwrap();
    let public = Command::new("openssl").args(["pkey", "-pubout", "-in", key_file.to_str().unwrap()]).output().unwrap();
    let public: String = String::from_utf8(public.stdout).unwrap().lines().filter(|l| !l.starts_with('-')).collect();
    let (database, redis_url, url, gateway) = (sqlite(&dir), redis.url(), smtp.url(), SmsGateway::start());
    let gateway = format!("{}/send?to={{{{to}}}}&text={{{{text}}}}", gateway.url());
    let well = [
        ("STENTOR__REDIS__URL", redis_url.as_str()),
        ("STENTOR__ARCHIVE__URL", database.as_str()),
        ("STENTOR__HTTP__PUBLIC_URL", "https://notify.example.com"),
        ("STENTOR__EMAIL__PROVIDERS", "main"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__URL", url.as_str()),
        ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "Bank <a@example.com>"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__RETURN_PATH", "bounce@bounces.example.com"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__DKIM__DOMAIN", "example.com"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__DKIM__SELECTOR", "s1"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__DKIM__KEY_FILE", key_file.to_str().unwrap()),
        ("STENTOR__SMS__PROVIDERS", "gw"),
        ("STENTOR__SMS__PROVIDER__GW__URL", gateway.as_str()),
    ];
    let dns = NameServer::start(&json!({
        "bounces.example.com": ["other", "v=spf1 ip4:192.0.2.1 -all", "MX mx.example.com"],
        "s1._domainkey.example.com": [format!("v=DKIM1; k=ed25519; p={}", &public[16..])],
        "_dmarc.example.com": ["v=DMARC1; p=reject"],
    }));
    let (found, content) = ask(&dns, &well);
    assert!(content && found.iter().all(|(_, health, _)| health == "good"), "{found:?}");
    let names: Vec<&str> = found.iter().map(|(what, ..)| what.as_str()).collect();
    assert_eq!(
        names,
        [
            "redis",
            "archive",
            "email provider main",
            "sms provider gw",
            "dns of main: bounces.example.com",
            "dns of main: MX of bounces.example.com",
            "dns of main: s1._domainkey.example.com",
            "dns of main: _dmarc.example.com"
        ]
    );

    let nothing = NameServer::start(&json!({"s1._domainkey.example.com": ["v=DKIM1; k=ed25519; p=AAAA"]}));
    let (found, content) = ask(&nothing, &well);
    assert!(content, "mails go out all the same: {found:?}");
    for (what, advice) in
        [("main: bounces.", "v=spf1"), ("MX of bounces.", "no MX record"), ("_domainkey", &public[16..]), ("_dmarc", "v=DMARC1")]
    {
        let (_, health, said) = found.iter().find(|(name, ..)| name.contains(what)).unwrap();
        assert!(health == "warning" && said.contains(advice), "{what}: {health} {said}");
    }

    // The policy of the domain above counts for the one below.
    let below = well.map(|(name, value)| (name, if name.ends_with("FROM") { "Bank <a@mail.example.com>" } else { value }));
    let (found, _) = ask(&dns, &below);
    let (_, health, said) = found.iter().find(|(name, ..)| name.contains("_dmarc.mail.example.com")).unwrap();
    assert_eq!((health.as_str(), said.as_str()), ("good", ""));

    let away = format!("smtp://127.0.0.1:{}?tls=none", free_port());
    let nobody = format!("http://127.0.0.1:{}/{{{{to}}}}", free_port());
    let mut ill = well.to_vec();
    ill[0] = ("STENTOR__REDIS__URL", "redis://me:secret@127.0.0.1:1");
    ill[11] = ("STENTOR__SMS__PROVIDER__GW__URL", &nobody);
    ill[4] = ("STENTOR__EMAIL__PROVIDER__MAIN__URL", &away);
    let (found, content) = ask(&dns, &ill);
    let bad: Vec<&str> = found.iter().filter(|(_, health, _)| health == "bad").map(|(what, ..)| what.as_str()).collect();
    assert_eq!((content, bad), (false, vec!["redis", "email provider main", "sms provider gw"]), "{found:?}");
    let redis = &found[0].2;
    assert!(redis.contains("redis://127.0.0.1:1:") && !redis.contains("secret"), "{redis}");
}
