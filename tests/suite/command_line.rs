//! The command line, as an operator and a script use it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use stentor_tests::{Dev, stentor};

fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn what_is_sent_is_seen_by_inbox_tail() {
    let dev = Dev::start();
    let api = [("STENTOR_API_URL", dev.text("api_url")), ("STENTOR_API_KEY", dev.text("api_key"))];
    let mut tail = stentor();
    let mut tail = tail
        .args(["inbox", "tail", "--recipient", "ada", "--count", "3"])
        .envs(api.clone())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("unread 0, inbox of ada"));
    let (code, sent, _) = run(stentor().args(["send", "--to", "ada", "--title", "Hello from the shell"]).envs(api.clone()));
    assert_eq!(code, 0);
    assert_eq!(lines.next().unwrap().unwrap(), "unread 1");
    let item = lines.next().unwrap().unwrap();
    assert!(item.contains("Hello from the shell") && item.contains(sent.split('\t').next().unwrap()), "{item}");
    let (code, _, _) = run(stentor().args(["send", "--everyone", "--title", "To all"]).envs(api.clone()));
    assert_eq!((code, lines.next().unwrap().unwrap().as_str()), (0, "unread 2"));
    assert!(lines.next().unwrap().unwrap().contains("To all"));
    assert!(tail.wait().unwrap().success());
    // What was sent all the same is on standard output, what was not on standard error.
    let request = r#"{"audience":{"recipients":["bob",{"id":"cleo","email":"a@@b"}]},"content":{"title":"x"}}"#;
    let (code, sent, warning) = run(stentor().args(["send", "--request", request]).envs(api.clone()));
    assert!(code == 0 && sent.trim_end().ends_with("\taccepted"), "{sent}");
    assert_eq!(warning, "stentor: /audience/recipients/1/email: not an email address of the form name@example.com\n");
    let (code, letters, _) = run(stentor().args(["--json", "dead-letters", "list"]).envs(api));
    assert_eq!((code, letters.trim()), (0, "[]"));
    // What is set up straight in SQL goes where `stentor dev` looks.
    let with_its_settings = |args: &[&str]| run(stentor().args(args).env("STENTOR_CONFIG", dev.text("config")));
    let (code, said, _) = with_its_settings(&["app", "rename", "demo", "Bank of Ada"]);
    assert_eq!((code, said.trim()), (0, "app demo is called Bank of Ada"));
    let (_, apps, _) = with_its_settings(&["--json", "app", "list"]);
    let apps: Value = serde_json::from_str(&apps).unwrap();
    assert_eq!((&apps[0]["app"], &apps[0]["name"]), (&json!("demo"), &json!("Bank of Ada")));
    assert_eq!(with_its_settings(&["app", "rename", "demo", " "]).0, 1);
    assert_eq!(with_its_settings(&["app", "rename", "nobody", "x"]).0, 1);
}

#[test]
fn errors_say_the_next_step_and_end_with_a_code() {
    let (code, _, complaint) = run(stentor().args(["send", "--to", "a", "--title", "x"]));
    assert_eq!(code, 1);
    assert!(complaint.contains("stentor key create"), "{complaint}");
    let (code, _, complaint) =
        run(stentor().args(["send", "--to", "a", "--title", "x", "--api-key", "k", "--api-url", "http://127.0.0.1:1"]));
    assert_eq!(code, 1);
    assert!(complaint.contains("stentor dev"), "{complaint}");
    let (code, _, complaint) = run(stentor().args(["config", "check"]).env("STENTOR__REDIS__ULR", "x"));
    assert_eq!(code, 1);
    assert!(complaint.contains("did you mean url?"), "{complaint}");
    let (code, ..) = run(stentor().arg("fly"));
    assert_eq!(code, 2);
    let (code, _, complaint) = run(stentor().args(["send", "--title", "x"]));
    assert!(code == 2 && complaint.contains("--topic") && complaint.contains("--everyone"), "{complaint}");
    let (code, _, complaint) = run(stentor().args(["app", "create", "Bank"]));
    assert!(code == 2 && complaint.contains("a-z, 0-9, - and _"), "{complaint}");
}

#[test]
fn settings_are_shown_with_their_secrets_masked() {
    let (code, shown, complaint) =
        run(stentor().args(["config", "check"]).env("STENTOR__REDIS__URL", "redis://:s3cret@127.0.0.1:6379"));
    assert_eq!(code, 0, "{complaint}");
    assert!(shown.contains("127.0.0.1:6379") && !shown.contains("s3cret"), "{shown}");
    let (code, default, _) = run(stentor().args(["config", "default"]));
    assert_eq!(code, 0);
    assert!(default.contains("[redis]"));
}

#[test]
fn an_operator_sets_up_an_app_step_by_step() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", dir.path().join("s.db").display());
    let cli = |args: &[&str]| run(stentor().arg("--json").args(args).env("STENTOR__ARCHIVE__URL", &url));
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(cli(&["migrate"]).0, 0);
    let (code, app, _) = cli(&["app", "create", "bank"]);
    assert_eq!((code, json(&app)["app"].clone()), (0, json!("bank")));
    assert_eq!(cli(&["app", "create", "bank"]).0, 1);
    assert_eq!(json(&cli(&["app", "list"]).1)[0]["app"], "bank");
    let (code, key, _) = cli(&["key", "create", "--app", "bank", "--scopes", "send,read"]);
    assert_eq!(code, 0);
    assert!(json(&key)["api_key"].as_str().unwrap().starts_with("stn_live_"));
    let (code, _, complaint) = cli(&["key", "create", "--app", "bank", "--scopes", "fly"]);
    assert!(code == 1 && complaint.contains("send, read, manage"), "{complaint}");
    let (code, token, _) = cli(&["token", "--app", "bank", "--recipient", "u1"]);
    assert_eq!((code, json(&token)["token"].as_str().unwrap().split('.').count()), (0, 3));
}
