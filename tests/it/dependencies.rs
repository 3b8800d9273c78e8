//! What the program is made of: under licences that allow it, from one place, and no crate that is not wanted.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Licences that a program under MIT or Apache-2.0 may be made of.
const LICENCES: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

/// Not wanted, and why.
const BANNED: [(&str, &str); 4] = [
    ("openssl", "TLS is rustls"),
    ("native-tls", "TLS is rustls"),
    ("aws-lc-sys", "takes minutes to build; the provider is ring"),
    ("sqlx", "the database is spoken to through Diesel"),
];

/// Only tests are made of it.
const OF_TESTS: [&str; 1] = ["webdriver"];

/// Built in two versions because others have not agreed yet. A new name here is a question before it is an answer.
const TWICE: [&str; 26] = [
    "base64",
    "bit-vec",
    "cookie",
    "getrandom",
    "hashbrown",
    "http",
    "icu_collections",
    "icu_provider",
    "litemap",
    "lock_api",
    "nom",
    "parking_lot",
    "parking_lot_core",
    "rand",
    "rand_core",
    "syn",
    "synstructure",
    "thiserror",
    "thiserror-impl",
    "tinystr",
    "winnow",
    "writeable",
    "yoke",
    "yoke-derive",
    "zerovec",
    "zerovec-derive",
];

/// Every crate that is linked on this system, with what it says of itself.
fn packages() -> Vec<Value> {
    let host = Command::new(env!("CARGO")).args(["-vV"]).output().unwrap();
    let host = String::from_utf8(host.stdout).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args(["--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        metadata.status.success(),
        "{}",
        String::from_utf8_lossy(&metadata.stderr)
    );
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// What the program was ordered with, by name.
#[test]
fn it_is_made_of_the_packages_that_were_asked_for() {
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let dependencies = manifest
        .split("\n[")
        .find(|table| table.starts_with("dependencies]"))
        .unwrap();
    for name in [
        "actix-web",
        "actix-files",
        "askama",
        "diesel",
        "diesel_migrations",
        "argon2",
        "rand",
        "serde",
        "env_logger",
    ] {
        let line = format!("{name} = ");
        assert!(dependencies.lines().any(|own| own.starts_with(&line)), "{name}");
    }
    let diesel = dependencies.lines().find(|line| line.starts_with("diesel = "));
    assert!(
        diesel.unwrap().contains("\"r2d2\""),
        "r2d2 is the pool, by a feature of diesel"
    );
}

fn text<'a>(package: &'a Value, field: &str) -> &'a str {
    package[field].as_str().unwrap_or("nothing")
}

/// `A OR B` asks for one of them, `A AND B` for both; `/` is an older way to write `OR`.
fn is_allowed(licence: &str) -> bool {
    let licence = licence.replace(['(', ')'], "").replace('/', " OR ");
    licence.split(" AND ").all(|needed| {
        needed.split(" OR ").any(|choice| {
            LICENCES.contains(&choice.split_whitespace().collect::<Vec<_>>().join(" ").as_str())
        })
    })
}

#[test]
fn every_licence_is_one_that_we_may_use() {
    let wrong: Vec<String> = packages()
        .iter()
        .filter(|package| !is_allowed(text(package, "license")) && !OF_TESTS.contains(&text(package, "name")))
        .map(|package| format!("{}: {}", text(package, "name"), text(package, "license")))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_comes_from_anywhere_but_the_registry() {
    for package in packages() {
        let source = package["source"].as_str();
        let is_ours = text(&package, "name") == "oneseat";
        assert!(
            is_ours || source.is_some_and(|source| source.starts_with("registry+")),
            "{package}"
        );
    }
}

#[test]
fn what_is_banned_is_not_there_and_what_is_there_twice_is_known() {
    let packages = packages();
    for (name, why) in BANNED {
        assert!(
            !packages.iter().any(|package| text(package, "name") == name),
            "{name}: {why}"
        );
    }
    let mut versions: BTreeMap<&str, u32> = BTreeMap::new();
    for package in &packages {
        *versions.entry(text(package, "name")).or_default() += 1;
    }
    let twice: Vec<&str> = versions
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(twice, TWICE, "two versions of one crate are built");
}
