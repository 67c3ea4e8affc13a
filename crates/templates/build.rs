//! Embeds the shipped templates: writes `shipped.rs`, a list of every file below `templates/` with its text.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let unset = || io::Error::other("cargo sets this variable");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or_else(unset)?).join("../../templates");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let mut list = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&root).map_err(io::Error::other)?;
        let name = name.to_str().ok_or_else(|| io::Error::other("a template's file name is not UTF-8"))?.replace('\\', "/");
        writeln!(list, "    ({name:?}, include_str!({:?})),", file.canonicalize()?.display()).map_err(io::Error::other)?;
    }
    list.push_str("]\n");
    let target = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(unset)?).join("shipped.rs");
    fs::write(target, list)
}

/// Every file below `folder` but hidden ones and README files.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if name.starts_with('.') || name == "README.md" {
            continue;
        }
        if path.is_dir() { collect(&path, files)? } else { files.push(path) }
    }
    Ok(())
}
