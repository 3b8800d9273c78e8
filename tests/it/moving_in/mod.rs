//! Users of other systems are imported with their passwords.

mod hashes;
mod import;
mod races;
mod told;
mod unusable;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{App, oneseat};

/// Passwords, and the hashes that other systems store for them (script/foreign-hashes).
const VECTORS: &str = include_str!("vectors.jsonl");

fn vectors() -> Vec<Value> {
    let lines = VECTORS.lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A file to import, in a directory that is removed with the first value.
fn file(name: &str, text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    (dir, path)
}

/// Imports it. Returns the exit status, what was printed, and the last line of the log.
fn import(app: &App, name: &str, text: &str, flags: &[&str]) -> (i32, String, String) {
    let (_dir, path) = file(name, text);
    let import = ["user", "import", path.to_str().unwrap()];
    import_as(app, &[&import, flags].concat(), "")
}

fn import_as(app: &App, args: &[&str], input: &str) -> (i32, String, String) {
    let database = ["--database-url", app.database().url()];
    let output = oneseat(&[args, &database].concat(), input);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let log = text(output.stderr);
    let last = log.lines().last().unwrap_or_default().to_owned();
    (output.status.code().unwrap(), text(output.stdout), last)
}
