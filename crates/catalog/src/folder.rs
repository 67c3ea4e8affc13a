//! A folder of templates, as authors keep it.

use std::{collections::BTreeMap, path::Path};

use stentor_templates::Library;

use crate::{
    checked::{Finding, Severity},
    files::{Files, is_shared_file, normalised},
};

/// The files of a folder, by template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// Layouts and partials.
    pub base: Files,
    /// The files of each template, by key.
    pub templates: BTreeMap<String, Files>,
    /// What could not be read.
    pub unreadable: Vec<Finding>,
}

impl Folder {
    /// The folder that ships with the program.
    pub fn builtin() -> Self {
        Self::of(Library::builtin_files())
    }

    /// Reads `dir`.
    pub fn read(dir: &Path) -> Self {
        let (files, errors) = Library::read_files(dir);
        let mut folder = Self::of(files);
        folder.unreadable.extend(errors.into_iter().map(|error| stentor_templates::Finding::from(error).into()));
        folder
    }

    fn of(files: Files) -> Self {
        let mut folder = Self::default();
        for (path, text) in normalised(files) {
            if is_shared_file(&path) {
                folder.base.insert(path, text);
            } else if let Some((key, file)) = path.split_once('/') {
                folder.templates.entry(key.to_owned()).or_default().insert(file.to_owned(), text);
            } else {
                folder.unreadable.push(Finding {
                    file: path,
                    line: 0,
                    column: 0,
                    severity: Severity::Error,
                    code: "unknown_file".to_owned(),
                    message: "this file belongs to no template".to_owned(),
                    advice: "A template is a folder: KEY/template.toml, KEY/en/content.md".to_owned(),
                });
            }
        }
        folder
    }
}

/// A finding with its path below the folder instead of below the template.
pub fn placed(key: &str, finding: Finding) -> Finding {
    let file = if is_shared_file(&finding.file) { finding.file } else { format!("{key}/{}", finding.file) };
    Finding { file, ..finding }
}
