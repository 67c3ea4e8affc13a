//! The library that is in use: it can be exchanged for a newer one while others read it.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{error::LoadErrors, library::Library};

/// A library that everybody sees in its latest state. A rendering that has begun keeps the state that it began with.
#[derive(Debug, Default)]
pub struct LiveLibrary(RwLock<Arc<Library>>);

impl LiveLibrary {
    /// A live library that is `library` for now.
    pub fn new(library: Library) -> Self {
        Self(RwLock::new(Arc::new(library)))
    }

    /// Its present state.
    pub fn current(&self) -> Arc<Library> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes `library` its state.
    pub fn replace(&self, library: Library) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(library);
    }

    /// Loads the folder `dir` over `base` and makes that its state, all at once; whether anything is different now.
    ///
    /// If anything is wrong with the folder, the state stays what it was: the last good one.
    pub fn reload(&self, base: &Library, dir: &Path) -> Result<bool, LoadErrors> {
        let library = base.clone().overlaid_by(Library::load(dir)?);
        let changed = !library.is_same(&self.current());
        if changed {
            self.replace(library);
        }
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_wrong_leaves_the_last_good_state() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
            fs::write(path, text).expect("it can be written");
        };
        write("t/template.toml", "title = \"T\"\ndefault_locale = \"en\"\n");
        write("t/schema.json", "{\"type\": \"object\"}");
        write("t/en/content.md", "+++\ntitle = \"one\"\n+++\n");
        let (base, live) = (Library::default(), LiveLibrary::default());
        let hash = |live: &LiveLibrary| live.current().find("t").map(|t| t.content_hash().to_owned());
        assert!(live.reload(&base, dir.path()).is_ok_and(|changed| changed));
        assert!(live.reload(&base, dir.path()).is_ok_and(|changed| !changed));
        let first = hash(&live);
        write("t/en/content.md", "+++\ntitle = \"{{#if\"\n+++\n");
        assert!(live.reload(&base, dir.path()).is_err());
        assert_eq!(hash(&live), first);
        write("t/en/content.md", "+++\ntitle = \"two\"\n+++\n");
        assert!(live.reload(&base, dir.path()).is_ok_and(|changed| changed));
        assert_ne!(hash(&live), first);
    }
}
