//! From files to a library: what is found, what is refused, and in which words.

use std::fs;

use crate::support::{files, library, load};
use stentor_templates::Library;

#[test]
fn everything_that_is_wrong_is_told_at_once_with_place_and_remedy() {
    let errors = load(&[
        ("t/template.toml", "title = \"T\"\nchanels = []\ndefault_locale = \"en\"\n"),
        ("t/schema.json", "{\"type\": \"object\",\n \"properties\": {\"a\": }}"),
        ("t/samples/one.json", "[]"),
        ("t/en/content.md", "+++\ntitle = \"{{shout x}}\"\n+++\ntext\n{{#if a}}\n"),
        ("t/en/sms.txt", "{{{x}}}"),
        ("t/en/content.txt", ""),
        ("t/ZH_cn/content.md", "+++\ntitle = \"t\"\n+++\n"),
        ("t/english-text/content.md", ""),
        ("u/en/content.md", "no front matter"),
        ("Wrong Name/template.toml", ""),
        ("_layouts/email.mjml", "<mjml><mj-body>\n<mj-text>{{x</mj-text></mj-body></mjml>"),
    ])
    .unwrap_err();
    let told: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.at, e.what)).collect();
    for expected in [
        "_layouts/email.mjml:2:10: the tag is never closed",
        "t/template.toml:2:1: unknown field `chanels`",
        "t/schema.json:2:22: this is not JSON",
        "t/samples/one.json:1: this is not a JSON object",
        "t/en/content.md:2:10: there is no helper `shout`",
        "t/en/content.md:5:1: `{{#if}}` is never closed",
        "t/en/sms.txt:1:1: `{{{x}}}` would let data write HTML",
        "t/en/content.txt: a language has no such file",
        "t/ZH_cn/content.md: this language tag is written otherwise",
        "t/english-text/content.md: this folder is not named after a language",
        "u/template.toml: the file is missing",
        "u/schema.json: the file is missing",
        "u/en/content.md:1:1: the front matter is missing",
        "Wrong Name/template.toml: this file belongs to no template",
    ] {
        assert!(told.iter().any(|t| t.starts_with(expected)), "{expected:?} is not among\n{}", told.join("\n"));
    }
    assert!(errors.iter().all(|e| !e.mend.is_empty()));
    assert!(errors.iter().is_sorted_by_key(|e| &e.at), "in the order of the files");
}

#[test]
fn the_default_language_must_be_there_and_samples_must_fit() {
    let error = load(&[("t/template.toml", "title = \"T\"\ndefault_locale = \"fr\"\n")]).unwrap_err().to_string();
    assert!(error.starts_with("t/fr/content.md: the default language has no content."), "{error}");
    let schema = "{\"type\": \"object\", \"required\": [\"a\"]}";
    let error = load(&[("t/schema.json", schema), ("t/samples/s.json", "{}")]).unwrap_err().to_string();
    assert!(error.starts_with("t/samples/s.json: the sample does not fit schema.json: /a is missing"), "{error}");
}

#[test]
fn a_folder_is_read_like_the_files_in_it() {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files(&[("t/samples/one.json", "{\"a\": 1}"), ("README.md", "not a template"), (".git/config", "")]) {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace('\n', "\r\n")).unwrap();
    }
    let template = Library::load(folder.path()).unwrap_or_else(|e| panic!("{e}")).find("t").unwrap();
    assert_eq!((template.key(), template.title(), template.samples()["one"]["a"].as_i64()), ("t", "T", Some(1)));
    let same = library(&[("t/samples/one.json", "{\"a\": 1}")]).find("t").unwrap();
    assert_eq!(template.content_hash(), same.content_hash(), "line ends make no difference");

    fs::write(folder.path().join("t/en/sms.txt"), [0xff, 0xfe]).unwrap();
    fs::write(folder.path().join("t/en/email.txt"), "x".repeat(70_000)).unwrap();
    let errors = Library::load(folder.path()).unwrap_err().to_string();
    assert!(errors.contains("t/en/sms.txt: not UTF-8") && errors.contains("t/en/email.txt: larger than"), "{errors}");
    assert!(Library::load(&folder.path().join("absent")).unwrap_err().to_string().contains("cannot be read"));
}

#[test]
fn the_hash_tells_whether_two_templates_write_the_same() {
    let hash = |own: &[(&str, &str)]| library(own).find("t").unwrap().content_hash().to_owned();
    let usual = hash(&[]);
    assert_eq!((usual.len(), &usual), (64, &hash(&[])));
    assert_ne!(usual, hash(&[("t/en/sms.txt", "x")]));
    assert_ne!(usual, hash(&[("_layouts/email.mjml", "<mjml><mj-body></mj-body></mjml>")]));
}

#[test]
fn one_library_lies_over_another_and_wins() {
    let title = |text: &str| format!("title = \"{text}\"\ndefault_locale = \"en\"\n");
    let below = library(&[("t/template.toml", &title("below"))]);
    let above = library(&[("t/template.toml", &title("above"))]);
    assert_eq!(below.clone().overlaid_by(above.clone()).find("t").unwrap().title(), "above");
    let all = Library::builtin().unwrap().overlaid_by(above);
    assert_eq!(
        all.list().map(|t| t.key()).collect::<Vec<_>>(),
        ["breaking-news", "card-repayment-due", "daily-digest", "order-shipped", "t", "verification-code", "welcome"]
    );
}
