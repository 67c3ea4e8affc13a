//! Packs the files of the console and the widget: `NAME.gz` for each, which `packed.rs` embeds. Once for all downloads, so that it may take
//! its time: zopfli finds 4 % that zlib at its best does not.

use std::{
    env,
    fs::{self, File},
    io,
    path::PathBuf,
};

use zopfli::{Format, Options};

/// The name of each, and of what it is made.
const FILES: [(&str, &[&str]); 9] = [
    ("console.css", &["console/assets/console.css"]),
    ("console.js", &["console/assets/console.js"]),
    // One file: htmx begins as soon as it has run, and what an extension of a file that comes later should do is never done.
    ("htmx.js", &["console/assets/htmx.min.js", "console/assets/hx-sse.min.js"]),
    ("htmx.LICENSE", &["console/assets/htmx.LICENSE"]),
    ("icon.svg", &["console/assets/icon.svg"]),
    ("stentor-inbox.js", &["pages/stentor-inbox.js"]),
    ("studio.css", &["console/assets/studio.css"]),
    ("studio.js", &["console/assets/studio.js"]),
    ("tokens.css", &["pages/tokens.css"]),
];

fn main() -> io::Result<()> {
    let folder = |name| env::var_os(name).map(PathBuf::from).ok_or_else(|| io::Error::other("cargo sets this variable"));
    let (from, to) = (folder("CARGO_MANIFEST_DIR")?.join("src"), folder("OUT_DIR")?);
    for (name, parts) in FILES {
        let mut text = Vec::new();
        for part in parts.iter().map(|part| from.join(part)) {
            println!("cargo::rerun-if-changed={}", part.display());
            if !text.is_empty() {
                text.extend_from_slice(b";\n"); // between scripts
            }
            text.extend(fs::read(part)?);
        }
        zopfli::compress(Options::default(), Format::Gzip, &*text, File::create(to.join(format!("{name}.gz")))?)?;
    }
    Ok(())
}
