//! The shared templates: those that ship with the program, and over them those of a folder.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use crate::{
    checked::{Finding, compile},
    compiled::{Origin, Version},
    files::{Files, hash},
    folder::{Folder, placed},
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
        let (mut findings, _) = all.lay_over(Folder::builtin());
        if let Some(dir) = dir {
            findings.extend(all.lay_over(Folder::read(dir)).0);
        }
        if findings.is_empty() { Ok(all) } else { Err(findings) }
    }

    /// Those that ship, and over them those of a folder that may be half-written: a template that cannot be used stays as it
    /// was `before`. With what is wrong.
    pub fn reload(folder: Folder, before: &Self) -> (Self, Vec<Finding>) {
        let mut all = Self::default();
        let (mut findings, _) = all.lay_over(Folder::builtin());
        let (wrong, unusable) = all.lay_over(folder);
        findings.extend(wrong);
        for key in unusable {
            if let Some(kept) = before.versions.get(&key) {
                all.versions.insert(key, kept.clone());
            }
        }
        (all, findings)
    }

    /// The templates by key.
    pub fn list(&self) -> impl Iterator<Item = (&str, &Arc<Version>)> {
        self.versions.iter().map(|(key, version)| (key.as_str(), version))
    }

    /// Takes in a folder, its layouts and partials first. Gives what is wrong, and the keys of those that cannot be used.
    fn lay_over(&mut self, folder: Folder) -> (Vec<Finding>, Vec<String>) {
        self.base.extend(folder.base);
        let (mut findings, mut unusable) = (folder.unreadable, Vec::new());
        for (key, mut files) in folder.templates {
            let template = match compile(&key, &files, &self.base) {
                Ok(template) => template,
                Err(wrong) => {
                    findings.extend(wrong.into_iter().map(|finding| placed(&key, finding)));
                    unusable.push(key);
                    continue;
                }
            };
            let mut all = self.base.clone();
            all.append(&mut files);
            let version = Version { origin: Origin::Shared, hash: hash(&all), files: all, template };
            self.versions.insert(key, Arc::new(version));
        }
        (findings, unusable)
    }
}
