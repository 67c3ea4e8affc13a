//! The shared templates: those that ship with the program, and over them those of a folder.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use stentor_templates::Library;

use crate::{
    checked::{Finding, Severity, check},
    compiled::{Origin, Version},
    files::{Files, hash, is_shared_file, normalised},
};

/// The shared templates, and the layouts and partials that an app's own are written in unless they bring others.
#[derive(Debug, Default)]
pub struct SharedTemplates {
    pub(crate) versions: BTreeMap<String, Arc<Version>>,
    pub(crate) base: Files,
}

impl SharedTemplates {
    /// Those that ship; with `dir`, over them those of this folder. Or everything that is wrong, with the paths of files as they
    /// are below the folder.
    pub fn load(dir: Option<&Path>) -> Result<Self, Vec<Finding>> {
        let mut all = Self::default();
        let mut findings = all.lay_over(Library::builtin_files());
        if let Some(dir) = dir {
            let (files, errors) = Library::read_files(dir);
            findings.extend(errors.iter().map(|e| Finding {
                file: e.at.file.to_string(),
                line: e.at.line,
                column: e.at.column,
                severity: Severity::Error,
                code: "unreadable".to_owned(),
                message: e.what.clone(),
                advice: e.mend.clone(),
            }));
            findings.extend(all.lay_over(files));
        }
        findings.retain(|finding| finding.severity == Severity::Error);
        if findings.is_empty() { Ok(all) } else { Err(findings) }
    }

    /// The templates by key.
    pub fn list(&self) -> impl Iterator<Item = (&str, &Arc<Version>)> {
        self.versions.iter().map(|(key, version)| (key.as_str(), version))
    }

    /// Takes in the files of a folder of templates, its layouts and partials first.
    fn lay_over(&mut self, files: Files) -> Vec<Finding> {
        let mut folders: BTreeMap<String, Files> = BTreeMap::new();
        for (path, text) in normalised(files) {
            if is_shared_file(&path) {
                self.base.insert(path, text);
            } else if let Some((key, file)) = path.split_once('/') {
                folders.entry(key.to_owned()).or_default().insert(file.to_owned(), text);
            } else {
                folders.entry(path).or_default(); // told as a template without files
            }
        }
        let mut findings = Vec::new();
        for (key, mut files) in folders {
            let checked = check(&key, &files, &self.base);
            findings.extend(checked.findings.into_iter().map(|finding| {
                let file = if is_shared_file(&finding.file) { finding.file } else { format!("{key}/{}", finding.file) };
                Finding { file, ..finding }
            }));
            if let Some(template) = checked.template {
                files.extend(self.base.clone());
                let version = Version { origin: Origin::Shared, hash: hash(&files), files, template };
                self.versions.insert(key, Arc::new(version));
            }
        }
        findings
    }
}
