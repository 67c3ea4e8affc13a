//! The files of one template: by their path in its folder, with layouts and partials beside them (`_layouts/email.mjml`).

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use stentor_domain::{Violation, violation::pointer_step};

/// Files by path: `template.toml`, `en/content.md`, `_layouts/email.mjml`.
pub type Files = BTreeMap<String, String>;

/// The most files of a template.
pub const MAX_FILES: usize = 200;
/// The most bytes of all of them together.
pub const MAX_TOTAL: usize = 1024 * 1024;
/// The most bytes of one.
const MAX_FILE: usize = 64 * 1024;
/// The longest path, in bytes.
const MAX_PATH: usize = 200;

/// True for layouts and partials, which templates share.
pub fn is_shared_file(path: &str) -> bool {
    path.starts_with('_')
}

/// The files with the line ends of Unix: what an editor on another system saved is no other version.
pub fn normalised(files: Files) -> Files {
    files.into_iter().map(|(path, text)| (path, if text.contains('\r') { text.replace("\r\n", "\n") } else { text })).collect()
}

/// What is wrong with the files as files; pointers begin with `/files`.
pub fn verify(files: &Files) -> Vec<Violation> {
    let mut found = Vec::new();
    if files.is_empty() || files.len() > MAX_FILES {
        found.push(Violation::new("/files", "file_count", format!("send 1 to {MAX_FILES} files, not {}", files.len())));
    }
    let total: usize = files.values().map(String::len).sum();
    if total > MAX_TOTAL {
        found.push(Violation::new(
            "/files",
            "too_large",
            format!("all files together are at most {MAX_TOTAL} bytes, not {total}"),
        ));
    }
    for (path, text) in files {
        let at = format!("/files/{}", pointer_step(path));
        if !is_path(path) {
            let message = "is no path in the folder of a template, such as template.toml or en/content.md";
            found.push(Violation::new(at, "bad_path", message));
        } else if text.len() > MAX_FILE {
            found.push(Violation::new(at, "too_large", format!("a file is at most {MAX_FILE} bytes, not {}", text.len())));
        }
    }
    found.truncate(50);
    found
}

fn is_path(path: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', ':', '\0', '\n', '\r']);
    path.len() <= MAX_PATH && path.split('/').all(part)
}

/// The name of a version: what it holds, and nothing else, decides it.
pub(crate) fn hash(files: &Files) -> String {
    let mut hash = Sha256::new();
    for part in files.iter().flat_map(|(path, text)| [path, text]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn the_hash_names_paths_and_texts() {
        let one = hash(&files(&[("a", "bc")]));
        assert_ne!(one, hash(&files(&[("ab", "c")])));
        assert_ne!(one, hash(&files(&[("a", "bc"), ("d", "")])));
        assert_eq!(one, hash(&files(&[("a", "bc")])));
        assert_eq!(normalised(files(&[("a", "x\r\ny")])), files(&[("a", "x\ny")]));
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for bad in ["/etc/passwd", "../x", "en/../../x", "", "en//x", ".hidden", "C:\\x", "en/x\ny"] {
            assert_eq!(verify(&files(&[(bad, "")]))[0].code, "bad_path", "{bad:?}");
        }
        assert_eq!(verify(&files(&[("en/content.md", ""), ("_layouts/email.mjml", "")])), []);
        assert_eq!(verify(&files(&[("a", &"x".repeat(MAX_FILE + 1))]))[0].code, "too_large");
        assert_eq!(verify(&Files::new())[0].code, "file_count");
    }
}
