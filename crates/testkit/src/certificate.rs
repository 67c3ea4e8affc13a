//! A certificate for the loopback, of an authority of the test's own.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// `ca.pem`, and `cert.pem` with `key.pem` signed by it.
pub(crate) fn make_certificate(folder: &Path) {
    const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").expect("the names are written");
    let ca = ["req", "-x509", "-days", "2", "-subj", "/CN=Test authority", "-keyout", "ca.key", "-out", "ca.pem"];
    openssl(folder, &[&ca[..], &KEY].concat());
    let request = ["req", "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "request"];
    openssl(folder, &[&request[..], &KEY].concat());
    let sign = ["x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
    openssl(folder, &[&sign[..], &["-days", "2", "-extfile", "names", "-out", "cert.pem"]].concat());
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let run = Command::new("openssl").args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    let out = run.expect("openssl is installed: `make test-deps` installs it");
    assert!(out.status.success(), "openssl: {}", String::from_utf8_lossy(&out.stderr));
}
