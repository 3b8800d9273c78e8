//! The program is made of what `deny.toml` allows. `cargo deny check` finds out more, but needs a network.

use std::process::Command;

use serde_json::Value;

const DENY: &str = include_str!("../../deny.toml");

/// Name, licence and source of every package that is linked on this system.
fn packages() -> Vec<[String; 3]> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args(["--filter-platform", "host-tuple"])
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    let fields = |package: &Value| ["name", "license", "source"].map(|field| text(&package[field]));
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(fields).collect()
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

/// `A OR B` asks for one of them, `A AND B` for both; `/` is an older `OR`. Parentheses are dropped, which can
/// only refuse more.
fn is_allowed(name: &str, licence: &str) -> bool {
    let (_, list) = DENY
        .split_once(
            "
allow = [",
        )
        .unwrap();
    let (list, _) = list.split_once(']').unwrap();
    let is_listed = |licence: &str| list.contains(&format!("\"{licence}\""));
    let is_excepted = |licence| DENY.contains(&format!("{{ crate = \"{name}\", allow = [\"{licence}\"] }}"));
    let licence = licence.replace(['(', ')'], "").replace('/', " OR ");
    licence.split(" AND ").all(|needed| {
        let mut choices = needed.split(" OR ").map(str::trim);
        choices.any(|choice| is_listed(choice) || is_excepted(choice))
    })
}

#[test]
fn every_package_is_one_that_deny_toml_allows() {
    for [name, licence, source] in packages() {
        let is_banned = DENY.contains(&format!("{{ crate = \"{name}\", reason"));
        let is_ours = name == "oneseat" && source == "none";
        let what = format!("{name}, {licence}, {source}");
        assert!(is_allowed(&name, &licence) && !is_banned, "{what}");
        assert!(is_ours || source.starts_with("registry+"), "{what}");
    }
}
