//! `stentor templates new`: the files of a template that is clean under lint and waits for its words.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use stentor_domain::Locale;

use super::{DirArgs, Output};

#[derive(Debug, Args)]
pub(crate) struct New {
    #[command(flatten)]
    dir: DirArgs,
    /// Its key, by which requests name it: a-z, 0-9 and -
    key: String,
    /// In which languages, separated by commas; the first is for readers of none of these
    #[arg(long, value_delimiter = ',', default_value = "en", value_name = "LOCALES")]
    locales: Vec<Locale>,
    /// What it is called among people
    #[arg(long)]
    title: Option<String>,
}

impl New {
    pub(super) fn run(self, out: Output) -> anyhow::Result<()> {
        let Self { dir, key, locales, title } = self;
        if !key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') || key.is_empty() || key.len() > 64 {
            bail!("{key:?} is no key: write 1 to 64 of a-z, 0-9 and -");
        }
        let folder = dir.dir.join(&key);
        if folder.exists() {
            bail!("{} is there already", folder.display());
        }
        let title = title.unwrap_or_else(|| in_words(&key));
        let files = files(&title, &locales)?;
        for (path, text) in &files {
            write(&folder.join(path), text)?;
        }
        let paths: Vec<String> = files.keys().map(|path| folder.join(path).display().to_string()).collect();
        out.say(&json!({ "key": key, "files": paths }), |_| {
            format!(
                "{}\n\nWrite the words, then look: stentor templates preview {key} --dir {}",
                paths.join("\n"),
                dir.dir.display()
            )
        })
    }
}

fn in_words(key: &str) -> String {
    let words = key.replace('-', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// In the order in which people write it.
const SCHEMA: &str = r#"{
  "type": "object",
  "additionalProperties": false,
  "required": ["name"],
  "properties": {
    "name": { "type": "string", "description": "How the person is addressed" }
  }
}
"#;

fn files(title: &str, locales: &[Locale]) -> anyhow::Result<BTreeMap<String, String>> {
    let default = locales.first().context("name at least one language")?;
    let toml_text = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let manifest = format!(
        "# What it is called among people.\ntitle = {}\n# What preferences are set on.\ncategory = \"general\"\n\
         # The channels of a request that names none.\nchannels = [\"inbox\", \"email\"]\n# For readers of none of its languages.\n\
         default_locale = \"{default}\"\n",
        toml_text(title)
    );
    let mut files = BTreeMap::from([
        ("template.toml".to_owned(), manifest),
        ("schema.json".to_owned(), SCHEMA.to_owned()),
        ("samples/example.json".to_owned(), "{ \"name\": \"Ada\" }\n".to_owned()),
    ]);
    for locale in locales {
        files.insert(format!("{locale}/content.md"), content(title, locale));
    }
    Ok(files)
}

fn content(title: &str, locale: &Locale) -> String {
    let language = locale.as_str().split('-').next();
    let comma = match language {
        Some("zh") => "，",
        Some("ar") => "،",
        _ => ",",
    };
    let (hello, summary, body) = match language {
        Some("de") => ("Hallo", "Worum es geht, in einem Satz.", "Schreiben Sie hier, was zu sagen ist."),
        Some("zh") => ("你好", "用一句话说明事由。", "在这里写正文。"),
        Some("fr") => ("Bonjour", "Le sujet, en une phrase.", "Écrivez ici ce qu’il y a à dire."),
        Some("es") => ("Hola", "De qué se trata, en una frase.", "Escriba aquí lo que hay que decir."),
        Some("ar") => ("مرحبًا", "الموضوع في جملة واحدة.", "اكتب هنا ما تريد قوله."),
        _ => ("Hello", "What it is about, in one sentence.", "Write here what there is to say."),
    };
    let title = toml::Value::String(title.to_owned()).to_string();
    format!("+++\ntitle = {title}\nsummary = \"{summary}\"\n+++\n\n{hello} {{{{name}}}}{comma}\n\n{body}\n")
}

pub(super) fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let cannot = || format!("{} cannot be written", file.display());
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(cannot)?;
    }
    std::fs::write(file, text).with_context(cannot)
}
