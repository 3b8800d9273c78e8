//! What docs/security.md names is there.

use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const DEMANDS: usize = 26;

fn security() -> String {
    std::fs::read_to_string(Path::new(ROOT).join("docs/security.md")).unwrap()
}

/// Every `module::test` between backticks.
fn named(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ':';
    quoted
        .filter(|quoted| quoted.contains("::") && quoted.chars().all(is_name))
        .collect()
}

/// The files in which a test of this module may be: `tests/it` first, then `src`.
fn files(module: &str) -> Vec<PathBuf> {
    let path = module.replace("::", "/");
    let mut files = Vec::new();
    for place in ["tests/it", "src"] {
        let place = Path::new(ROOT).join(place).join(&path);
        files.push(place.with_extension("rs"));
        let within = std::fs::read_dir(place).into_iter().flatten();
        files.extend(within.map(|entry| entry.unwrap().path()));
    }
    files.retain(|file| file.is_file());
    files
}

fn is_a_test(file: &Path, name: &str) -> bool {
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let function = format!("fn {name}(");
    lines.iter().enumerate().any(|(at, line)| {
        let is_it = line.starts_with(&function) || line.starts_with(&format!("async {function}"));
        let attributes = lines[..at].iter().rev().take_while(|line| line.starts_with('#'));
        is_it && attributes.into_iter().any(|attribute| attribute.contains("test"))
    })
}

#[test]
fn every_test_that_the_security_page_names_exists() {
    let text = security();
    let names = named(&text);
    assert!(names.len() > 100, "{} tests", names.len());
    let missing: Vec<_> = names
        .into_iter()
        .filter(|name| {
            let (module, test) = name.rsplit_once("::").unwrap();
            !files(module).iter().any(|file| is_a_test(file, test))
        })
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_demand_has_a_row() {
    let text = security();
    for number in 1..=DEMANDS {
        let row = format!("| {number} |");
        assert!(
            text.lines().any(|line| line.starts_with(&row)),
            "no row for {number}"
        );
    }
}
