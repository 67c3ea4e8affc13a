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
        let mut findings = all.lay_over(Folder::builtin());
        if let Some(dir) = dir {
            findings.extend(all.lay_over(Folder::read(dir)));
        }
        if findings.is_empty() { Ok(all) } else { Err(findings) }
    }

    /// Those that ship, and over them those of a folder that may be half-written: a template that cannot be used stays as it
    /// was `before`. With what is wrong.
    pub fn reload(folder: Folder, before: &Self) -> (Self, Vec<Finding>) {
        let mut all = Self::default();
        let mut findings = all.lay_over(Folder::builtin());
        let shipped = all.versions.clone();
        let keys: Vec<String> = folder.templates.keys().cloned().collect();
        findings.extend(all.lay_over(folder));
        for key in keys {
            let is_as_shipped = all.versions.get(&key).map(|v| &v.hash) == shipped.get(&key).map(|v| &v.hash);
            let broken = findings.iter().any(|f| f.file.split('/').next() == Some(key.as_str()));
            if let Some(kept) = before.versions.get(&key).filter(|_| broken || !all.versions.contains_key(&key))
                && is_as_shipped
            {
                all.versions.insert(key, kept.clone());
            }
        }
        (all, findings)
    }

    /// The templates by key.
    pub fn list(&self) -> impl Iterator<Item = (&str, &Arc<Version>)> {
        self.versions.iter().map(|(key, version)| (key.as_str(), version))
    }

    /// Takes in a folder, its layouts and partials first. Gives what is wrong with those that cannot be used.
    fn lay_over(&mut self, folder: Folder) -> Vec<Finding> {
        self.base.extend(folder.base);
        let mut findings = folder.unreadable;
        for (key, mut files) in folder.templates {
            let template = match compile(&key, &files, &self.base) {
                Ok(template) => template,
                Err(wrong) => {
                    findings.extend(wrong.into_iter().map(|finding| placed(&key, finding)));
                    continue;
                }
            };
            let mut all = self.base.clone();
            all.append(&mut files);
            let version = Version { origin: Origin::Shared, hash: hash(&all), files: all, template };
            self.versions.insert(key, Arc::new(version));
        }
        findings
    }
}
