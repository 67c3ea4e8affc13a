//! What the linker does for a release besides. It names the places that the loader has to mend in a packed form, which is smaller by
//! 2 MB, read faster, and asks for glibc 2.36 (2022) or newer; and functions whose code is the same become one, where it can do that:
//! 0.4 MB. (Rust promises nobody that two functions have two addresses.)

use std::{env, fs, process::Command};

/// Rust's own linker on Linux (lld) knows it, and mold; the GNU linkers do not.
const FOLD: &str = "-Wl,--icf=all";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTFLAGS"); // they may name another linker
    let set = |name: &str| env::var(name).unwrap_or_default();
    if set("PROFILE") == "release" && set("CARGO_CFG_TARGET_OS") == "linux" && set("CARGO_CFG_TARGET_ENV") == "gnu" {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
        if links_with(FOLD) {
            println!("cargo:rustc-link-arg-bins={FOLD}");
        }
    }
}

/// True if an empty program can be linked with `arg`, by the linker and with the flags that this build has.
fn links_with(arg: &str) -> bool {
    let (Ok(rustc), Ok(dir), Ok(target)) = (env::var("RUSTC"), env::var("OUT_DIR"), env::var("TARGET")) else { return false };
    let program = format!("{dir}/empty.rs");
    if fs::write(&program, "fn main() {}").is_err() {
        return false;
    }
    let mut rustc = Command::new(rustc);
    rustc.args([&program, "--out-dir", &dir, "--target", &target, "-C", &format!("link-arg={arg}")]);
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.args(["-C", &format!("linker={linker}")]);
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    rustc.args(flags.split('\u{1f}').filter(|flag| !flag.is_empty()));
    rustc.output().is_ok_and(|output| output.status.success())
}
