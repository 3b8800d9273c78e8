//! Everything that docs/security.md, docs/architecture.md and CONTRIBUTING.md name exists.

use std::path::{Path, PathBuf};

use crate::support::files_below;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const DEMANDS: usize = 26;

fn read(page: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(page)).unwrap()
}

/// Every word between backticks, in a line or in a block.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).flat_map(str::split_whitespace)
}

/// Every `module::test`, and every `module::` for all tests of a module.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ':';
    words(text).filter(move |word| word.contains("::") && word.chars().all(is_name))
}

/// Every path of a file or a directory of this repository: not of what a build makes, nor of a route.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    const ENDS: [&str; 9] = ["rs", "md", "toml", "css", "js", "ts", "html", "json", "env"];
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    words(text).filter(move |word| {
        let end = word.rsplit_once('.').map_or("", |(_, end)| end);
        let is_elsewhere = word.starts_with('/') || word.starts_with("target/");
        (word.contains('/') || ENDS.contains(&end)) && word.chars().all(is_part) && !is_elsewhere
    })
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

fn is_there(name: &str) -> bool {
    let (module, test) = name.rsplit_once("::").unwrap();
    let files = files(module);
    files.iter().any(|file| test.is_empty() || is_a_test(file, test))
}

#[test]
fn every_test_that_a_page_names_exists() {
    for (page, least) in [("docs/security.md", 100), ("CONTRIBUTING.md", 8)] {
        let text = read(page);
        assert!(named(&text).count() >= least, "{page}");
        let missing: Vec<_> = named(&text).filter(|name| !is_there(name)).collect();
        assert!(missing.is_empty(), "{page}: {missing:#?}");
    }
}

#[test]
fn every_path_that_a_page_names_exists() {
    for (page, least) in [("CONTRIBUTING.md", 60), ("docs/architecture.md", 20)] {
        let text = read(page);
        assert!(paths(&text).count() >= least, "{page}");
        let missing: Vec<_> = paths(&text)
            .filter(|path| !Path::new(ROOT).join(path).exists())
            .collect();
        assert!(missing.is_empty(), "{page}: {missing:#?}");
    }
}

/// Each step of a numbered list, with the lines that belong to it.
fn steps(text: &str) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.starts_with(|c: char| c.is_ascii_digit()) {
            steps.push(line.to_owned());
        } else if let (Some(step), true) = (steps.last_mut(), line.starts_with(' ')) {
            step.push('\n');
            step.push_str(line);
        }
    }
    steps
}

/// The code of a file without its comments.
fn code(file: &str) -> String {
    let lines = |text: String| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    let mut code = lines(read(file));
    code.retain(|line| !line.trim_start().starts_with("//"));
    code.join("\n")
}

/// The names in a step of a walk that its files do not have. The first name after a file must be a function
/// of it, and so must a name `of` a file. Every other name must be in the code of one of its files.
fn missing_in(step: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '#';
    let parts: Vec<&str> = step.split('`').collect();
    let is_file = |part: &str| paths(&format!("`{part}`")).count() == 1;
    let files: Vec<&str> = parts
        .iter()
        .skip(1)
        .step_by(2)
        .copied()
        .filter(|part| is_file(part))
        .collect();
    let has = |file: &str, name: &str, is_function: bool| {
        let code = code(file);
        let words: Vec<&str> = code
            .split(|c| !is_part(c))
            .filter(|word| !word.is_empty())
            .collect();
        match is_function && file.ends_with(".rs") {
            true => words.windows(2).any(|pair| pair == ["fn", name]),
            false => words.contains(&name) || code.contains(name) && !name.chars().all(is_part),
        }
    };
    let mut missing = Vec::new();
    for at in (1..parts.len()).step_by(2).filter(|at| !is_file(parts[*at])) {
        let after = (parts[at - 1] == ": ").then(|| parts[at - 2]);
        let of = (parts.get(at + 1) == Some(&" of ")).then(|| parts[at + 2]);
        let found = match of.filter(|of| is_file(of)).or(after) {
            Some(file) => has(file, parts[at], true),
            None => parts[at]
                .split("::")
                .all(|name| files.iter().any(|file| has(file, name, false))),
        };
        if !found {
            missing.push(format!("{} in {step}", parts[at]));
        }
    }
    missing
}

#[test]
fn whatever_a_walk_through_the_code_names_is_in_the_files_of_its_step() {
    let text = read("docs/architecture.md");
    let (_, walks) = text.split_once("\n## Four walks through the code\n").unwrap();
    let steps = steps(walks.split("\n## ").next().unwrap());
    assert!(steps.len() > 40, "{steps:#?}");
    let missing: Vec<_> = steps.iter().flat_map(|step| missing_in(step)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    // A name that does not exist is noticed.
    let wrong = "1. `src/worker_pool.rs`: `submit` calls `no_such_thing`, and `work` of `src/token.rs`.";
    assert_eq!(missing_in(wrong).len(), 2);
}

/// The recipes of CONTRIBUTING.md, each by its heading.
fn recipes(text: &str) -> Vec<(&str, &str)> {
    let (_, recipes) = text.split_once("\n## Recipes\n").unwrap();
    let recipes = recipes.split("\n## ").next().unwrap();
    let each = recipes.split("\n### ").skip(1);
    each.map(|recipe| recipe.split_once('\n').unwrap()).collect()
}

#[test]
fn every_step_of_a_recipe_names_a_file() {
    let text = read("CONTRIBUTING.md");
    let recipes = recipes(&text);
    assert!(recipes.len() >= 7, "{recipes:#?}");
    for (heading, recipe) in recipes {
        let steps = steps(recipe);
        assert!(steps.len() > 2, "{heading}: {recipe}");
        let without: Vec<_> = steps.iter().filter(|step| paths(step).count() == 0).collect();
        assert!(without.is_empty(), "{heading}: {without:#?}");
    }
}

/// Members of the sets that recipes add to. A file that names all of them has to name the next one, too.
const MEMBERS: [(&str, &[&str]); 5] = [
    (
        "Add a route",
        &["/auth/history", "/api/admin/history", "/auth/email/verify"],
    ),
    (
        "Add a setting",
        &["login_rate", "stop_delay", "max_connections", "sweep_interval"],
    ),
    (
        "Add an end reason",
        &["signed_out", "page_closed", "replaced", "expired", "revoked"],
    ),
    (
        "Add a kind of mail",
        &["invitation", "verification", "password_changed", "new_sign_in"],
    ),
    (
        "Add a metric",
        &[
            "oneseat_sign_ins_total",
            "oneseat_mails_total",
            "oneseat_live_sessions",
        ],
    ),
];

/// A name as it is written in SQL, in Rust, as a flag, and as a variable of the environment.
fn spellings(name: &str) -> [String; 4] {
    let capital = |part: &str| part[..1].to_uppercase() + &part[1..];
    let type_name = name.split('_').map(capital).collect();
    [
        name.to_owned(),
        type_name,
        name.replace('_', "-"),
        name.to_uppercase(),
    ]
}

/// Does this file name all members of a set? A picture names none.
fn names_all(file: &Path, members: &[&str]) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let is_named = |name: &&str| spellings(name).iter().any(|spelling| text.contains(spelling));
    members.iter().all(is_named)
}

#[test]
fn every_file_that_names_all_members_of_a_set_is_in_its_recipe() {
    let root = Path::new(ROOT);
    let places = [
        "bench/src",
        "clients",
        "docs",
        "migrations",
        "packaging",
        "src",
        "static",
        "templates",
        "tests",
    ];
    let files: Vec<_> = places
        .iter()
        .flat_map(|place| files_below(&root.join(place)))
        .collect();
    let page = read("CONTRIBUTING.md");
    let mut missing = Vec::new();
    for (heading, members) in MEMBERS {
        let recipes = recipes(&page);
        let (_, recipe) = recipes.iter().find(|(name, _)| *name == heading).unwrap();
        for file in files.iter().filter(|file| names_all(file, members)) {
            let file = file.strip_prefix(root).unwrap().to_str().unwrap();
            // Each migration repeats its list.
            let is_in = |path: &str| path == file || path == "migrations/" && file.starts_with(path);
            if file != file!() && !paths(recipe).any(is_in) {
                missing.push(format!("{heading}: {file}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_demand_has_a_row() {
    let text = read("docs/security.md");
    for number in 1..=DEMANDS {
        let row = format!("| {number} |");
        assert!(
            text.lines().any(|line| line.starts_with(&row)),
            "no row for {number}"
        );
    }
}
