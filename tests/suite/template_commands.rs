//! `stentor templates`, as an author and a CI run use it, and the folder that `stentor dev` reads anew.

use std::{fs, path::Path};

use serde_json::{Value, json};
use stentor_tests::{Dev, eventually, stentor};

/// Runs `stentor --json templates …`: the exit code, what it answered, what it complained of.
fn templates(args: &[&str], dir: &Path, api: &[(&str, String)]) -> (i32, Value, String) {
    let mut command = stentor();
    command.args(["--json", "templates"]).args(args).current_dir(dir).envs(api.iter().cloned());
    let output = command.output().unwrap();
    let answer = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), answer, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from:?} is not in {}", file.display());
    fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn a_new_template_is_clean_and_its_samples_are_watched() {
    let dir = tempfile::tempdir().unwrap();
    let here = |args: &[&str]| templates(args, dir.path(), &[]);
    let (code, made, complaint) = here(&["new", "parcel-sent", "--locales", "en,de,ar"]);
    assert_eq!((code, made["files"].as_array().map(Vec::len)), (0, Some(6)), "{complaint}");
    assert_eq!(here(&["new", "parcel-sent"]).0, 1, "what is there is not written over");
    let (code, linted, complaint) = here(&["lint", "--strict"]);
    assert_eq!((code, &linted["findings"]), (0, &json!([])), "{complaint}");

    let (code, compared, _) = here(&["golden"]);
    assert_eq!((code, compared["new"].as_array().map(Vec::len)), (1, Some(12)), "nothing is kept yet: {compared}");
    assert_eq!(here(&["golden", "--update"]).0, 0);
    assert_eq!(here(&["golden"]).0, 0);
    assert!(dir.path().join("templates-golden/parcel-sent/ar/example.email.html").is_file());
    edit(&dir.path().join("templates/parcel-sent/de/content.md"), "Hallo", "Servus");
    let (code, compared, complaint) = here(&["golden"]);
    assert_eq!(code, 1);
    assert!(complaint.contains("--update"), "{complaint}");
    let changed: Vec<&str> = compared["changed"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    assert_eq!(changed, ["email.html", "email.txt", "inbox.json"].map(|part| format!("parcel-sent/de/example.{part}")));
    fs::remove_dir_all(dir.path().join("templates/parcel-sent/ar")).unwrap();
    assert_eq!(here(&["golden"]).1["gone"].as_array().map(Vec::len), Some(4), "what is gone is told as well");
}

#[test]
fn what_is_written_out_is_what_a_recipient_would_get() {
    let dir = tempfile::tempdir().unwrap();
    let here = |args: &[&str]| templates(args, dir.path(), &[]);
    here(&["new", "parcel-sent", "--locales", "en,de", "--title", "Your parcel"]);
    let (_, mail, _) = here(&["render", "parcel-sent", "--channel", "email", "--locale", "de-AT", "--data", r#"{"name": "Bo"}"#]);
    assert_eq!((&mail["subject"], &mail["locale"]), (&json!("Your parcel"), &json!("de")));
    assert!(mail["html"].as_str().unwrap().contains("Hallo Bo"));
    let (_, sms, _) = here(&["render", "parcel-sent", "--channel", "sms"]);
    assert_eq!(sms["segments"], 1);
    let (code, _, complaint) = here(&["render", "parcel-sent", "--data", "{}"]);
    assert_eq!(code, 1);
    assert!(complaint.contains("/data/name"), "{complaint}");
    let (code, page, _) = here(&["preview", "parcel-sent", "--out", "page.html"]);
    assert_eq!((code, &page["file"]), (0, &json!("page.html")));
    assert!(fs::read_to_string(dir.path().join("page.html")).unwrap().contains("iframe"));
}

#[test]
fn a_person_reads_words_and_a_program_json() {
    let dir = tempfile::tempdir().unwrap();
    templates(&["new", "news", "--locales", "ar"], dir.path(), &[]);
    let content = "+++\ntitle = \"News\"\nsummary = \"عاجل\"\nlink = \"https://x.example/a\"\nimage = { url = \"https://x.example/i.png\", alt = \"A bridge\" }\n\n\
        [[actions]]\nlabel = \"Read\"\nurl = \"https://x.example/a\"\n\n[[articles]]\ntitle = \"One\"\nlink = \"https://x.example/1\"\n+++\n\nHello **{{name}}**.\n";
    fs::write(dir.path().join("templates/news/ar/content.md"), content).unwrap();
    let said = |args: &[&str]| {
        let output = stentor().arg("templates").args(args).current_dir(dir.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let card = "News\nعاجل\n[A bridge] https://x.example/i.png\nhttps://x.example/a\n\n[Read] https://x.example/a";
    assert_eq!(said(&["render", "news"]), format!("{card}\n\nHello Ada.\n\nOne\nhttps://x.example/1\n"));
    assert!(said(&["render", "news", "--channel", "email"]).starts_with("Subject: News\n\nNews\n\nHello Ada."));
    let sms = said(&["render", "news", "--channel", "sms"]);
    assert_eq!(sms, "عاجل https://x.example/a\n\n(1 segment, in Unicode because of ع)\n");
    said(&["preview", "news"]);
    let page = fs::read_to_string(dir.path().join("news.preview.html")).unwrap();
    for part in [
        "alt=\"A bridge\"",
        "class=\"button\" href=\"https://x.example/a\">Read<",
        "<strong>Ada</strong>",
        ">One</a>",
        "SMS, 1 segment,",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
}

#[test]
fn lint_names_file_line_and_column_and_ends_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let here = |args: &[&str]| templates(args, dir.path(), &[]);
    here(&["new", "parcel-sent"]);
    edit(&dir.path().join("templates/parcel-sent/en/content.md"), "Hello {{name}}", "Hello {{#if name}}you");
    let (code, linted, _) = here(&["lint"]);
    assert_eq!((code, &linted["errors"]), (1, &json!(1)), "{linted}");
    let finding = &linted["findings"][0];
    assert_eq!(
        (&finding["file"], &finding["line"], &finding["column"]),
        (&json!("parcel-sent/en/content.md"), &json!(6), &json!(7))
    );
    assert_eq!(here(&["lint", "--only", "nothing"]).0, 1);
    assert_eq!(here(&["lint", "--dir", "templates"]).1, linted, "the folder is named as for the other commands");
    let (code, _, complaint) = here(&["lint", "parcel-sent"]);
    assert!(code == 1 && complaint.contains("--only parcel-sent"), "{complaint}");
    edit(&dir.path().join("templates/parcel-sent/en/content.md"), "{{#if name}}", "");
    let said = stentor().args(["templates", "lint"]).current_dir(dir.path()).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.starts_with("parcel-sent/schema.json:6:5: warning: no text uses the field `name`."), "{said}");
}

#[tokio::test]
async fn a_folder_is_published_compared_brought_back_and_taken_back() {
    let (dev, dir) = (Dev::start(), tempfile::tempdir().unwrap());
    let api = [("STENTOR_API_URL", dev.text("api_url")), ("STENTOR_API_KEY", dev.text("api_key"))];
    let here = |args: &[&str]| templates(args, dir.path(), &api);
    here(&["new", "parcel-sent"]);
    let (code, _, complaint) = here(&["diff", "parcel-sent"]);
    assert!(code == 1 && complaint.contains("there is nothing to compare parcel-sent with"), "{complaint}");
    let (code, pushed, complaint) = here(&["push", "parcel-sent"]);
    assert_eq!((code, &pushed[0]["number"], &pushed[0]["live"]), (0, &json!(1), &json!(true)), "{complaint}");
    assert_eq!(here(&["diff", "parcel-sent"]).0, 0);

    let content = dir.path().join("templates/parcel-sent/en/content.md");
    edit(&content, "Hello", "Welcome");
    let (code, diff, _) = here(&["diff", "parcel-sent"]);
    assert_eq!((code, &diff["files"][0]["file"]), (1, &json!("en/content.md")));
    let (code, draft, _) = here(&["push", "parcel-sent", "--draft"]);
    assert_eq!((code, &draft[0]["number"], &draft[0]["live"]), (0, &json!(2), &json!(false)));
    assert_eq!(here(&["push", "parcel-sent"]).1[0]["live"], true);
    assert_eq!(here(&["diff", "parcel-sent", "--from", "1"]).0, 1);

    let (code, _, complaint) = here(&["pull", "parcel-sent", "--version", "1"]);
    assert_eq!(code, 1, "what was changed here is not written over");
    assert!(complaint.contains("content.md"), "{complaint}");
    assert_eq!(here(&["pull", "parcel-sent", "--version", "1", "--force"]).0, 0);
    assert!(fs::read_to_string(&content).unwrap().contains("Hello"));
    let (code, back, _) = here(&["rollback", "parcel-sent"]);
    assert_eq!((code, &back["number"]), (0, &json!(1)));
    let (code, _, complaint) = here(&["rollback", "parcel-sent", "--to", "shared"]);
    assert!(code == 1 && complaint.contains("there is no shared template of this key"), "{complaint}");

    edit(&content, "Hello {{name}}", "{{#if}}");
    let (code, _, complaint) = here(&["push", "parcel-sent"]);
    assert_eq!(code, 1);
    assert_eq!(complaint.matches("en/content.md:6:1: error: ").count(), 1, "{complaint}");
    let (code, sent, complaint) = here(&["test-send", "parcel-sent", "--to", "ada", "--version", "2", "--channels", "inbox"]);
    assert_eq!((code, &sent["deliveries"][0]["state"]), (0, &json!("sent")), "{complaint}");
    let (code, sent, complaint) = here(&["test-send", "parcel-sent", "--to", "nobody", "--version", "2", "--channels", "sms"]);
    assert_eq!((code, &sent["deliveries"][0]["reason"]), (1, &json!("no_address")), "what became of it is told: {complaint}");
    let inbox = dev.api.get("/v1/recipients/ada/inbox").await;
    assert_eq!(inbox["items"][0]["title"], "Parcel sent");
}

#[tokio::test]
async fn dev_reads_its_folder_anew_and_keeps_what_was_good() {
    let dir = tempfile::tempdir().unwrap();
    templates(&["new", "parcel-sent"], dir.path(), &[]);
    let folder = dir.path().join("templates");
    let dev = Dev::start_with(&[("STENTOR__TEMPLATES__DIR", folder.to_str().unwrap())]);
    let says = async |words: &str| {
        eventually(&format!("it says {words}"), async || {
            let (status, seen) = dev.api.post("/v1/templates/parcel-sent/preview", &json!({})).await;
            let text = seen["inbox"]["body_text"].as_str().unwrap_or_default();
            (status.is_success() && text.contains(words)).then_some(())
        })
        .await;
    };
    says("Hello Ada").await;
    let content = folder.join("parcel-sent/en/content.md");
    edit(&content, "Hello", "Welcome");
    says("Welcome Ada").await;
    edit(&content, "Welcome {{name}}", "{{#if name}}");
    templates(&["new", "other"], dir.path(), &[]);
    eventually("the new template is there, though another is broken", async || {
        let all = dev.api.get("/v1/templates?limit=100").await;
        all["items"].as_array().unwrap().iter().any(|t| t["key"] == "other").then_some(())
    })
    .await;
    says("Welcome Ada").await;
    edit(&content, "{{#if name}}", "Mended, {{name}}");
    says("Mended, Ada").await;
}
