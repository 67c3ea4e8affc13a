//! From files to templates, collecting everything that is wrong on the way.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use stentor_domain::{Channel, Locale, content::Images, text::check_line};

use crate::{
    engine::{Escape, PARTIALS, Partials, Rules, Source, Text},
    error::{LoadError, LoadErrors, Place},
    finding::Code,
    front_matter::toml_error,
    layout::MailLayout,
    library::{LAYOUT, is_shipped, shipped, shipped_layout, shipped_layout_source},
    limits,
    messages::Messages,
    schema::Schema,
    template::{LocaleVersion, Template},
    words::Words,
};

/// `template.toml`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    title: String,
    category: Option<String>,
    #[serde(default)]
    channels: Vec<Channel>,
    default_locale: Locale,
    /// The languages that it is to be written in; lint tells of those that are not there.
    locales: Option<Vec<Locale>>,
    /// Whether the pictures of its mails are linked or come with them.
    #[serde(default)]
    images: Images,
    /// Fields of the data that may stand in three braces, in the body and in the mail; they are sanitised.
    #[serde(default)]
    raw: Vec<String>,
}

/// The files of one template, by their path within its folder.
type Files<'a> = BTreeMap<&'a str, &'a str>;

/// The templates that `files` describe.
pub(crate) fn templates(files: &BTreeMap<String, String>) -> Result<Vec<Template>, LoadErrors> {
    let (loaded, errors) = read(files);
    if errors.is_empty() { Ok(loaded) } else { Err(LoadErrors(errors)) }
}

/// The templates that can be made of `files`, and all that is wrong with the others.
pub(crate) fn read(files: &BTreeMap<String, String>) -> (Vec<Template>, Vec<LoadError>) {
    let files: BTreeMap<&str, String> = files.iter().map(|(path, text)| (path.as_str(), text.replace("\r\n", "\n"))).collect();
    let mut errors = Vec::new();
    let layout_source = files.get(LAYOUT).map_or(shipped_layout_source(), |own| own.as_str());
    // Layout and partials that are not among the files are the shipped ones.
    let partials = Partials::among(shipped().chain(files.iter().map(|(path, text)| (*path, text.as_str()))));
    let is_of_layout =
        |path: &str| path == LAYOUT || (path.starts_with(PARTIALS) && Path::new(path).extension().is_some_and(|e| e == "mjml"));
    let layout = if files.iter().any(|(path, text)| is_of_layout(path) && !is_shipped(path, text)) {
        let rules = Rules { partials: &partials, locale: None, raw: &[] };
        MailLayout::compile(&LAYOUT.into(), layout_source, rules, &mut errors).map(Arc::new)
    } else {
        shipped_layout().map_err(|LoadErrors(wrong)| errors.extend(wrong)).ok()
    };
    let mut shared = partials.take_used();
    shared.push((LAYOUT, layout_source));
    let mut folders: BTreeMap<&str, Files<'_>> = BTreeMap::new();
    for (path, text) in &files {
        match path.split_once('/') {
            Some(("_layouts", _)) if *path == LAYOUT => {}
            Some(("_partials", file)) if is_partial(file) => {}
            Some((key, file)) if is_key(key) => _ = folders.entry(key).or_default().insert(file, text),
            _ => {
                let mend = "A template is a folder: KEY/template.toml, KEY/en/content.md; KEY is of a-z, 0-9 and `-`";
                errors.push(LoadError::new(Place::file(path), Code::UnknownFile, "this file belongs to no template", mend));
            }
        }
    }
    let mut loaded = Vec::new();
    for (key, files) in folders {
        let mut loader = Loader { key, files: &files, partials: &partials, errors: &mut errors };
        loaded.extend(loader.template(layout.as_ref(), &shared));
    }
    errors.sort_by(|a, b| a.at.cmp(&b.at));
    (loaded, errors)
}

/// `signature.md`, `zh-CN/signature.md`
fn is_partial(file: &str) -> bool {
    let (locale, file) = file.rsplit_once('/').map_or((None, file), |(locale, file)| (Some(locale), file));
    let known = locale.is_none_or(|tag| tag.parse::<Locale>().is_ok_and(|locale| locale.as_str() == tag));
    let name = ["md", "mjml", "txt"].iter().find_map(|kind| file.strip_suffix(kind)?.strip_suffix('.'));
    known && name.is_some_and(is_key)
}

fn is_key(name: &str) -> bool {
    let letters = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    letters && (1..=64).contains(&name.len())
}

struct Loader<'a> {
    key: &'a str,
    files: &'a Files<'a>,
    partials: &'a Partials<'a>,
    errors: &'a mut Vec<LoadError>,
}

impl Loader<'_> {
    fn path(&self, file: &str) -> Arc<str> {
        format!("{}/{file}", self.key).into()
    }

    fn error(&mut self, file: &str, code: Code, what: impl Into<String>, mend: impl Into<String>) {
        let place = Place::file(&self.path(file));
        self.errors.push(LoadError::new(place, code, what, mend));
    }

    fn template(&mut self, layout: Option<&Arc<MailLayout>>, shared: &[(&str, &str)]) -> Option<Template> {
        let before = self.errors.len();
        self.partials.take_used();
        self.refuse_unknown_files();
        let manifest = self.manifest();
        let schema = self.schema();
        let samples = self.samples(schema.as_ref());
        let raw = manifest.as_ref().map(|m| m.raw.clone()).unwrap_or_default();
        let versions = self.versions(&raw);
        let mut messages = self.messages();
        if let Some(manifest) = manifest.as_ref().filter(|m| !versions.contains_key(&m.default_locale)) {
            let file = format!("{}/content.md", manifest.default_locale);
            if !self.files.contains_key(file.as_str()) {
                let mend = "Write this file, or change `default_locale`";
                self.error(&file, Code::MissingLocale, "the default language has no content", mend);
            }
        }
        if self.errors.len() > before {
            return None;
        }
        let (manifest, schema, layout) = (manifest?, schema?, layout?.clone());
        let personal = versions.values().any(|v| {
            let texts = v.mail_text.iter().chain(&v.sms);
            v.words.is_personal() || v.mail.iter().any(|m| m.personal) || texts.into_iter().any(|t| t.personal)
        });
        messages.set_default(&manifest.default_locale);
        Some(Template {
            key: self.key.to_owned(),
            title: manifest.title,
            category: manifest.category,
            channels: manifest.channels,
            default_locale: manifest.default_locale,
            images: manifest.images,
            expected_locales: manifest.locales,
            messages,
            versions,
            schema,
            samples,
            personal,
            content_hash: self.hash(shared),
            layout,
        })
    }

    fn manifest(&mut self) -> Option<Manifest> {
        let Some(text) = self.files.get("template.toml") else {
            let mend = "Write `title = \"…\"` and `default_locale = \"en\"` into it";
            self.error("template.toml", Code::MissingFile, "the file is missing", mend);
            return None;
        };
        let manifest: Manifest = match toml::from_str(text) {
            Ok(manifest) => manifest,
            Err(e) => {
                let error = toml_error(&self.path("template.toml"), text, 0, &e);
                self.errors.push(error);
                return None;
            }
        };
        let mut line = |field: &str, text: &str, max| {
            if let Err(e) = check_line(text, max) {
                self.error("template.toml", Code::BadField, format!("`{field}` {e}"), "Write one short line");
            }
        };
        line("title", &manifest.title, 200);
        if let Some(category) = &manifest.category {
            line("category", category, 64);
        }
        Some(manifest)
    }

    fn schema(&mut self) -> Option<Schema> {
        let path = self.path("schema.json");
        let Some(text) = self.files.get("schema.json") else {
            let mend = "Describe the data: {\"type\": \"object\", \"properties\": {…}, \"required\": […]}";
            self.error("schema.json", Code::MissingFile, "the file is missing", mend);
            return None;
        };
        Schema::compile(&path, text, self.errors)
    }

    fn samples(&mut self, schema: Option<&Schema>) -> BTreeMap<String, Map<String, Value>> {
        let mut samples = BTreeMap::new();
        for (file, text) in self.files {
            let Some(name) = file.strip_prefix("samples/").and_then(|f| f.strip_suffix(".json")) else { continue };
            match serde_json::from_str::<Map<String, Value>>(text) {
                Err(e) => {
                    let at = Place { file: self.path(file), line: e.line(), column: e.column() };
                    self.errors.push(LoadError::new(
                        at,
                        Code::BadSample,
                        "this is not a JSON object",
                        "Check commas and quotes around this place",
                    ));
                }
                Ok(data) => {
                    for wrong in schema.map(|s| s.check(&data, "")).unwrap_or_default() {
                        let what = format!("the sample does not fit schema.json: {} {}", wrong.pointer, wrong.message);
                        self.error(file, Code::BadSample, what, "Correct the sample or the schema");
                    }
                    samples.insert(name.to_owned(), data);
                }
            }
        }
        samples
    }

    fn versions(&mut self, raw: &[String]) -> BTreeMap<Locale, LocaleVersion> {
        let (mut versions, before) = (BTreeMap::new(), self.errors.len());
        for (file, text) in self.files {
            let Some((folder, "content.md")) = file.split_once('/') else { continue };
            let Ok(locale) = folder.parse::<Locale>() else { continue };
            if self.errors.len() > before + limits::FINDINGS {
                break;
            }
            let rules = Rules { partials: self.partials, locale: Some(&locale), raw };
            let words = Words::compile(&self.path(file), text, rules, self.errors);
            let mail = self.part(folder, "email.mjml", |file, text, errors| MailLayout::compile(file, text, rules, errors));
            let plain = |file: &Arc<str>, text: &str, errors: &mut Vec<LoadError>| plain_text(file, text, rules, errors);
            let mail_text = self.part(folder, "email.txt", plain);
            let sms = self.part(folder, "sms.txt", plain);
            if let Some(words) = words {
                versions.insert(locale, LocaleVersion { words, mail, mail_text, sms });
            }
        }
        versions
    }

    fn messages(&mut self) -> Messages {
        let mut messages = Messages::default();
        for (file, text) in self.files {
            let Some(name) = file.strip_prefix("messages/").and_then(|f| f.strip_suffix(".toml")) else { continue };
            if let Ok(locale) = name.parse() {
                messages.read(locale, &self.path(file), text, self.errors);
            }
        }
        messages
    }

    fn part<T>(
        &mut self,
        folder: &str,
        name: &str,
        compile: impl Fn(&Arc<str>, &str, &mut Vec<LoadError>) -> Option<T>,
    ) -> Option<T> {
        let file = format!("{folder}/{name}");
        let text = self.files.get(file.as_str())?;
        compile(&self.path(&file), text, self.errors)
    }

    /// A misspelt file name would otherwise be a file that has no effect.
    fn refuse_unknown_files(&mut self) {
        for file in self.files.keys() {
            let (what, mend) = match file.split_once('/') {
                None if ["template.toml", "schema.json"].contains(file) => continue,
                None => (
                    "a template has no such file",
                    "It has template.toml, schema.json, samples/NAME.json, messages/LOCALE.toml and a folder per language",
                ),
                Some(("samples", name)) if Path::new(name).extension().is_some_and(|e| e == "json") && !name.contains('/') => {
                    continue;
                }
                Some(("messages", name)) => {
                    let locale = name.strip_suffix(".toml").and_then(|tag| Some((tag, tag.parse::<Locale>().ok()?)));
                    if locale.is_some_and(|(tag, locale)| locale.as_str() == tag) {
                        continue;
                    }
                    ("messages are kept by language", "Name the file messages/en.toml, messages/zh-CN.toml …")
                }
                Some(("samples", _)) => ("a sample is a JSON file", "Name it samples/NAME.json"),
                Some((folder, name)) => match folder.parse::<Locale>() {
                    Err(_) => ("this folder is not named after a language", "Name it en, zh-CN, de-AT …"),
                    Ok(locale) if locale.as_str() != folder => {
                        ("this language tag is written otherwise", "Write language small and region large: zh-CN")
                    }
                    Ok(_) if ["content.md", "email.mjml", "email.txt", "sms.txt"].contains(&name) => {
                        if self.files.contains_key(format!("{folder}/content.md").as_str()) {
                            continue;
                        }
                        ("this language has no content.md", "Write content.md beside it")
                    }
                    Ok(_) => (
                        "a language has no such file",
                        "It has content.md and, where a channel differs, email.mjml, email.txt and sms.txt",
                    ),
                },
            };
            self.error(file, Code::UnknownFile, what, mend);
        }
    }

    /// `shared` are the files that every template of the library is made of.
    fn hash(&self, shared: &[(&str, &str)]) -> String {
        let mut hash = Sha256::new();
        let partials = self.partials.take_used();
        for (file, text) in self.files.iter().map(|(f, t)| (*f, *t)).chain(shared.iter().copied()).chain(partials) {
            for part in [file, text] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        hex::encode(hash.finalize())
    }
}

fn plain_text(path: &Arc<str>, text: &str, rules: Rules<'_>, errors: &mut Vec<LoadError>) -> Option<Text> {
    Text::compile(&Source { file: path, first_line: 1, indent: 0, text }, Escape::None, rules.escaped(), errors)
}
