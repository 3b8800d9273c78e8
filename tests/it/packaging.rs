//! Ways to install: the Debian package, the service, the container.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use ipnetwork::IpNetwork;
use serde_json::Value;

use crate::support::oneseat;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

#[test]
fn the_debian_package_is_built_installed_used_and_purged() {
    // The package contains the program that this test was built with.
    let target = Path::new(env!("CARGO_BIN_EXE_oneseat"))
        .ancestors()
        .nth(2)
        .unwrap();
    let check = Command::new(Path::new(ROOT).join("script/package"))
        .args(["--dev", "--check"])
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    let (said, wrong) = (
        String::from_utf8_lossy(&check.stdout),
        String::from_utf8_lossy(&check.stderr),
    );
    assert!(check.status.success(), "{said}\n{wrong}");
    assert!(said.ends_with("the package is fine\n"), "{said}");
}

/// Every variable that the help of `serve` names, and its default, if it has one.
fn settings() -> BTreeMap<String, Option<String>> {
    let help = oneseat(&["serve", "--help"], "");
    let help = String::from_utf8(help.stdout).unwrap();
    let between = |text: &str, start: &str| {
        let rest = text.split_once(start)?.1;
        Some(rest.split(']').next()?.to_owned())
    };
    let flags = help.split("\n      --").skip(1);
    flags
        .filter_map(|flag| {
            let name = between(flag, "[env: ")?;
            // In clap's own format: the help text itself may speak of a default, too.
            let default = flag
                .lines()
                .find_map(|line| between(line.trim().strip_prefix("[default: ")?, ""));
            Some((name.trim_end_matches('=').to_owned(), default))
        })
        .collect()
}

#[test]
fn every_setting_has_its_row_in_the_readme() {
    let readme = read("README.md");
    let rows: BTreeMap<&str, &str> = readme
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `--")?.split(" | ").skip(1);
            Some((cells.next()?, cells.next()?))
        })
        .collect();
    let settings = settings();
    for name in rows.keys().flat_map(|names| names.split(", ")) {
        let name = name.trim_matches('`');
        assert!(settings.contains_key(name), "there is no setting {name}");
    }
    for (name, default) in settings {
        let row = rows
            .iter()
            .find(|(names, _)| names.contains(&format!("`{name}`")));
        let Some((_, words)) = row else {
            panic!("{name} has no row in README.md");
        };
        if let Some(default) = default.filter(|default| !default.is_empty()) {
            assert!(words.contains(&format!("`{default}`")), "{name}: {words}");
        }
    }
}

#[test]
fn every_setting_has_its_line_in_the_file_of_the_service() {
    let settings = settings();
    assert!(settings.len() > 25, "{settings:#?}");
    let file = read("packaging/debian/oneseat.env");
    let lines: BTreeMap<&str, &str> = file
        .lines()
        .filter_map(|line| line.strip_prefix('#')?.split_once('='))
        .filter(|(name, _)| !name.starts_with(' '))
        .collect();
    for (name, default) in &settings {
        let value = lines.get(name.as_str());
        assert!(value.is_some(), "{name} has no line in oneseat.env");
        if let Some(default) = default {
            assert_eq!(value, Some(&default.as_str()), "{name}");
        }
    }
    for name in lines.keys() {
        assert!(
            settings.contains_key(*name) || *name == "RUST_LOG",
            "there is no setting {name}"
        );
    }
    let given: Vec<&str> = file
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert!(
        given.is_empty(),
        "nothing is set unless the operator does: {given:?}"
    );
}

#[test]
fn the_service_can_do_nothing_that_it_need_not() {
    let unit = read("packaging/debian/oneseat.service");
    for directive in [
        "Type=notify",
        "DynamicUser=yes",
        "StateDirectory=oneseat",
        "CapabilityBoundingSet=",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "MemoryDenyWriteExecute=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        "SystemCallFilter=@system-service",
        "EnvironmentFile=/etc/oneseat/oneseat.env",
    ] {
        assert!(unit.lines().any(|line| line == directive), "{directive}");
    }
}

/// The instructions of a Dockerfile, with continued lines joined.
fn dockerfile() -> Vec<(String, String)> {
    read("Dockerfile")
        .replace("\\\n", " ")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap())
        .map(|(what, rest)| (what.to_owned(), rest.to_owned()))
        .collect()
}

#[test]
fn the_container_is_built_of_files_that_are_there() {
    let taken = read(".dockerignore");
    let mut sources = Vec::new();
    for (what, rest) in dockerfile() {
        if what == "COPY" && !rest.starts_with("--from") {
            let words: Vec<String> = rest.split_whitespace().map(ToOwned::to_owned).collect();
            sources.extend_from_slice(&words[..words.len() - 1]);
        }
    }
    for source in &sources {
        assert!(Path::new(ROOT).join(source).exists(), "{source}");
        assert!(
            taken.lines().any(|line| line == format!("!{source}")),
            "{source} is ignored"
        );
    }
    assert_eq!(
        taken.lines().filter(|line| line.starts_with('!')).count(),
        sources.len()
    );
    // Everything that the build reads is copied: the files that the sources name, and those that cargo needs.
    for needed in [
        "Cargo.toml",
        "Cargo.lock",
        "build.rs",
        "clients",
        "migrations",
        "src",
        "static",
        "templates",
    ] {
        assert!(sources.iter().any(|source| source == needed), "{needed}");
    }
}

#[test]
fn the_container_runs_as_a_number_and_is_built_with_our_compiler() {
    let steps = dockerfile();
    let last = |name: &str| {
        let found = steps.iter().rev().find(|(what, _)| what == name);
        found.unwrap_or_else(|| panic!("no {name}")).1.clone()
    };
    let (user, group) = {
        let both = last("USER");
        let (user, group) = both.split_once(':').unwrap();
        (user.parse::<u32>().unwrap(), group.parse::<u32>().unwrap())
    };
    assert!(user > 0 && group > 0);
    assert_eq!(
        (last("ENTRYPOINT"), last("CMD")),
        ("[\"oneseat\"]".into(), "[\"serve\"]".into())
    );
    let toolchain = read("rust-toolchain.toml");
    let channel = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = "))
        .unwrap();
    let image = format!("rust:{}-slim-bookworm AS build", channel.trim_matches('"'));
    assert!(steps.contains(&("FROM".to_owned(), image)), "{steps:#?}");
    for (what, image) in &steps {
        assert!(
            what != "FROM" || (image.contains(':') && !image.contains("latest")),
            "{image}"
        );
    }
}

/// `compose.yaml`, as an independent parser reads it.
fn compose() -> Value {
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let output = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .arg(PathBuf::from(ROOT).join("compose.yaml"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_composition_keeps_passwords_in_files_and_its_port_to_the_host() {
    let compose = compose();
    let (seat, database) = (&compose["services"]["oneseat"], &compose["services"]["database"]);
    assert_eq!(
        seat["environment"]["DATABASE_URL_FILE"],
        "/run/secrets/database-url"
    );
    assert_eq!(
        database["environment"]["POSTGRES_PASSWORD_FILE"],
        "/run/secrets/postgres-password"
    );
    for service in [seat, database] {
        for secret in service["secrets"].as_array().unwrap() {
            let file = compose["secrets"][secret.as_str().unwrap()]["file"]
                .as_str()
                .unwrap();
            assert!(file.starts_with("./secrets/"), "{file}");
            let known = Command::new("git")
                .args(["check-ignore", "--quiet", file])
                .current_dir(ROOT)
                .status();
            assert!(
                known.is_err() || known.unwrap().success(),
                "{file} could be committed"
            );
        }
    }
    let ports: Vec<&str> = seat["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| port.as_str().unwrap())
        .collect();
    assert_eq!(ports, ["127.0.0.1:8080:8080"]);
    assert!(database["ports"].is_null());
    assert_eq!(compose["networks"]["back"]["internal"], true);
    assert_eq!(seat["depends_on"]["database"]["condition"], "service_healthy");
    assert!(database["healthcheck"]["test"].is_array());
    assert!(seat["read_only"] == true && seat["cap_drop"][0] == "ALL");
    let volume = database["volumes"][0]
        .as_str()
        .unwrap()
        .split(':')
        .next()
        .unwrap();
    assert!(compose["volumes"].as_object().unwrap().contains_key(volume));
}

#[test]
fn the_composition_trusts_the_gateway_alone_and_every_name_in_it_is_a_setting() {
    let compose = compose();
    let environment = compose["services"]["oneseat"]["environment"].as_object().unwrap();
    let settings = settings();
    for name in environment.keys() {
        assert!(settings.contains_key(name), "there is no setting {name}");
    }
    let network = &compose["networks"]["front"]["ipam"]["config"][0];
    let subnet: IpNetwork = network["subnet"].as_str().unwrap().parse().unwrap();
    let gateway: Ipv4Addr = network["gateway"].as_str().unwrap().parse().unwrap();
    assert!(subnet.contains(gateway.into()));
    assert_eq!(environment["ONESEAT_TRUSTED_PROXIES"], gateway.to_string());
    // The address at which the image listens is accepted once that is set.
    let bind = dockerfile().into_iter().find_map(|(what, rest)| {
        (what == "ENV").then(|| rest.strip_prefix("ONESEAT_BIND=").unwrap().to_owned())
    });
    let bind = bind.unwrap();
    let start = |proxies: &str| {
        let args = [
            "serve",
            "--bind",
            &bind,
            "--trusted-proxies",
            proxies,
            "--workers",
            "none",
        ];
        let output = oneseat(&args, "");
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(start("").contains("in the clear"));
    assert!(!start(&gateway.to_string()).contains("in the clear"));
}

#[test]
fn the_package_for_npm_has_the_version_of_the_program_and_holds_the_module_with_its_types() {
    let packed = Command::new("npm")
        .args(["pack", "--dry-run", "--json"])
        .current_dir(Path::new(ROOT).join("clients/js"))
        .output()
        .unwrap();
    let packed: Value = serde_json::from_slice(&packed.stdout).unwrap();
    let packed = match &packed {
        Value::Array(packages) => &packages[0],
        by_name => &by_name["oneseat"],
    };
    assert_eq!(packed["version"], env!("CARGO_PKG_VERSION"));
    let files = packed["files"].as_array().unwrap();
    let mut names: Vec<&str> = files.iter().map(|file| file["path"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["README.md", "oneseat.d.ts", "oneseat.js", "package.json"]);
}
