//! All templates that are known: those that ship with the binary, and those of a folder.

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{Arc, LazyLock},
};

use crate::{
    engine::{Partials, Rules},
    error::{LoadError, LoadErrors, Place},
    finding::Code,
    layout::MailLayout,
    limits, load,
    template::Template,
};

/// Every file below `templates/`, by its path there.
const SHIPPED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// The layout of mails, by its path.
pub(crate) const LAYOUT: &str = "_layouts/email.mjml";

/// Templates by key.
#[derive(Clone, Debug, Default)]
pub struct Library {
    templates: BTreeMap<String, Arc<Template>>,
}

impl Library {
    /// The files that ship with the binary, by their paths below `templates/`.
    pub fn builtin_files() -> BTreeMap<String, String> {
        SHIPPED.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    /// The templates that ship with the binary.
    pub fn builtin() -> Result<Self, LoadErrors> {
        Self::of_files(&Self::builtin_files())
    }

    /// The templates of the folder `dir`. All that is wrong with it is told at once.
    pub fn load(dir: &Path) -> Result<Self, LoadErrors> {
        let (files, errors) = files_of(dir);
        let library = Self::of_files(&files);
        match library {
            Ok(library) if errors.is_empty() => Ok(library),
            Ok(_) => Err(LoadErrors(errors)),
            Err(LoadErrors(more)) => Err(LoadErrors(errors.into_iter().chain(more).collect())),
        }
    }

    /// The files of the folder `dir`, by their paths in it, and what cannot be read.
    pub fn read_files(dir: &Path) -> (BTreeMap<String, String>, Vec<LoadError>) {
        files_of(dir)
    }

    /// The templates of the given files, by their paths (`welcome/en/content.md`).
    pub fn of_files(files: &BTreeMap<String, String>) -> Result<Self, LoadErrors> {
        let templates = load::templates(files)?;
        Ok(Self { templates: templates.into_iter().map(|t| (t.key().to_owned(), Arc::new(t))).collect() })
    }

    /// These templates and those of `other`, which win where both have a key.
    #[must_use]
    pub fn overlaid_by(mut self, other: Self) -> Self {
        self.templates.extend(other.templates);
        self
    }

    /// The template called `key`.
    pub fn find(&self, key: &str) -> Option<Arc<Template>> {
        self.templates.get(key).cloned()
    }

    /// Every template, in the order of their keys.
    pub fn list(&self) -> impl Iterator<Item = &Arc<Template>> {
        self.templates.values()
    }
}

/// The layout that ships with the binary, compiled once for all templates that are written in it.
pub(crate) fn shipped_layout() -> Result<Arc<MailLayout>, LoadErrors> {
    static LAYOUT_ONCE: LazyLock<Result<Arc<MailLayout>, LoadErrors>> = LazyLock::new(|| {
        let mut errors = Vec::new();
        let partials = Partials::among(shipped());
        let rules = Rules { partials: &partials, locale: None, raw: &[] };
        let layout = MailLayout::compile(&LAYOUT.into(), shipped_layout_source(), rules, &mut errors);
        layout.map(Arc::new).ok_or(LoadErrors(errors))
    });
    LAYOUT_ONCE.clone()
}

/// Its MJML.
pub(crate) fn shipped_layout_source() -> &'static str {
    SHIPPED.iter().find(|(path, _)| *path == LAYOUT).map_or("", |(_, text)| text)
}

/// Every file of the folder `dir` by its path there, and what cannot be read.
pub(crate) fn files_of(dir: &Path) -> (BTreeMap<String, String>, Vec<LoadError>) {
    let (mut files, mut errors) = (BTreeMap::new(), Vec::new());
    if let Err(e) = read(dir, "", 0, &mut files, &mut errors) {
        let mend = "Name a folder that can be read";
        let what = format!("cannot be read: {e}");
        errors.push(LoadError::new(Place::file(&dir.display().to_string()), Code::UnreadableFile, what, mend));
    }
    (files, errors)
}

/// The shipped files, by their paths.
pub(crate) fn shipped<'a>() -> impl Iterator<Item = (&'a str, &'a str)> {
    SHIPPED.iter().copied()
}

/// True if the file at `path` says what the shipped one says.
pub(crate) fn is_shipped(path: &str, text: &str) -> bool {
    shipped().any(|own| own == (path, text))
}

/// Reads every file below `folder` but hidden ones and README files.
fn read(
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut BTreeMap<String, String>,
    errors: &mut Vec<LoadError>,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()).map(str::to_owned) else {
            errors.push(LoadError::new(Place::file(prefix), Code::UnreadableFile, "a file name is not UTF-8", "Rename the file"));
            continue;
        };
        let place = format!("{prefix}{name}");
        if name.starts_with('.') || name == "README.md" {
            continue;
        }
        if path.is_dir() {
            // templates/KEY/LOCALE/file: nothing of ours lies deeper, and a link may lead back up.
            if depth < 3 {
                read(&path, &format!("{place}/"), depth + 1, files, errors)?;
            }
            continue;
        }
        if fs::metadata(&path)?.len() > limits::FILE_BYTES as u64 {
            let what = format!("larger than {} bytes", limits::FILE_BYTES);
            errors.push(LoadError::new(Place::file(&place), Code::TooComplex, what, "Split the message, or link to pictures"));
            continue;
        }
        match String::from_utf8(fs::read(&path)?) {
            Ok(text) => _ = files.insert(place, text),
            Err(_) => {
                errors.push(LoadError::new(Place::file(&place), Code::UnreadableFile, "not UTF-8", "Save the file as UTF-8"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layout that `welcome` is written in, if these files are there besides its own.
    fn layout_with(files: &[(&str, &str)]) -> Arc<MailLayout> {
        let mut all = Library::builtin_files();
        all.retain(|path, _| path.starts_with("welcome/"));
        all.extend(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
        Library::of_files(&all).unwrap().find("welcome").unwrap().layout.clone()
    }

    #[test]
    fn the_shipped_layout_is_compiled_once_for_all() {
        let shipped = shipped_layout().unwrap();
        for same in [&[][..], &[(LAYOUT, shipped_layout_source())]] {
            assert!(Arc::ptr_eq(&layout_with(same), &shipped), "{same:?}");
        }
        let own = shipped_layout_source().replace("600px", "500px");
        assert_ne!(own, shipped_layout_source());
        assert!(!Arc::ptr_eq(&layout_with(&[(LAYOUT, &own)]), &shipped));
    }
}
