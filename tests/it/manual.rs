//! Shell completions and manual pages.

use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::oneseat;

fn said(args: &[&str]) -> String {
    let output = oneseat(args, "");
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The completions that bash offers for the last of these words.
fn offered(words: &[&str]) -> BTreeSet<String> {
    let script = r#"
        source /dev/stdin
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        complete=$(complete -p oneseat) && [[ $complete =~ -F\ ([^ ]+) ]]
        "${BASH_REMATCH[1]}" oneseat "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let completions = TempDir::new().unwrap();
    let file = completions.path().join("oneseat");
    std::fs::write(&file, said(&["completions", "bash"])).unwrap();
    let bash = Command::new("bash")
        .args(["--norc", "-euc", script, "bash"])
        .args(words)
        .stdin(std::fs::File::open(file).unwrap())
        .output()
        .unwrap();
    assert!(bash.status.success() && bash.stderr.is_empty(), "{bash:?}");
    let lines = String::from_utf8(bash.stdout).unwrap();
    lines.lines().map(ToOwned::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_flags() {
    let set = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(offered(&["oneseat", "us"]), set(&["user"]));
    assert_eq!(offered(&["oneseat", "user", "in"]), set(&["invite"]));
    assert_eq!(
        offered(&["oneseat", "serve", "--tls"]),
        set(&["--tls-cert", "--tls-key"])
    );
    assert_eq!(
        offered(&["oneseat", "completions", ""]),
        set(&[
            "-h",
            "--help",
            "--log-format",
            "-q",
            "--quiet",
            "bash",
            "elvish",
            "fish",
            "powershell",
            "zsh"
        ])
    );
}

#[test]
fn every_shell_gets_its_completions() {
    for (shell, mark) in [
        ("bash", "complete -F _oneseat"),
        ("elvish", "edit:completion:arg-completer[oneseat]"),
        ("fish", "complete -c oneseat"),
        ("powershell", "Register-ArgumentCompleter"),
        ("zsh", "#compdef oneseat"),
    ] {
        let script = said(&["completions", shell]);
        assert!(script.contains(mark) && script.contains("invite"), "{shell}");
    }
    assert_eq!(oneseat(&["completions", "cmd"], "").status.code(), Some(2));
}

/// A manual page as a terminal shows it, with the complaints of the formatter.
fn rendered(page: &str) -> (String, String) {
    let groff = |input: &str| -> Output {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("page.1");
        std::fs::write(&file, input).unwrap();
        Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-P-c", "-rLL=100n"])
            .arg(file)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let output = groff(page);
    let text = String::from_utf8(output.stdout).unwrap();
    // Bold and underlined letters are struck over.
    let letters: Vec<char> = text.chars().collect();
    let mut plain = String::new();
    for (position, letter) in letters.iter().enumerate() {
        if *letter != '\u{8}' && letters.get(position + 1) != Some(&'\u{8}') {
            plain.push(*letter);
        }
    }
    (plain, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn every_command_has_a_manual_page_that_renders_without_a_warning() {
    let dir = TempDir::new().unwrap();
    said(&["man", "--output", dir.path().to_str().unwrap()]);
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let (text, warnings) = rendered(&std::fs::read_to_string(&path).unwrap());
        assert_eq!(warnings, "", "{name}");
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"] {
            assert!(
                text.lines().any(|line| line == section),
                "{name} has no {section}:\n{text}"
            );
        }
        assert!(!text.contains("\\f"), "{name}:\n{text}");
        names.insert(name);
    }
    assert!(names.len() > 20, "{names:?}");
    for name in [
        "oneseat",
        "oneseat-serve",
        "oneseat-user",
        "oneseat-user-add",
        "oneseat-session-end",
    ] {
        assert!(names.contains(name), "{name}");
    }
    // Whatever a page refers to is there.
    for name in &names {
        let page = std::fs::read_to_string(dir.path().join(format!("{name}.1"))).unwrap();
        let (text, _) = rendered(&page);
        for word in text.split_whitespace().filter(|word| word.contains("(1)")) {
            let other = word
                .split("(1)")
                .next()
                .unwrap()
                .trim_end_matches(',')
                .to_lowercase();
            assert!(names.contains(&other), "{name} refers to {other}");
        }
    }
}

#[test]
fn a_page_says_what_the_help_says() {
    let (text, _) = rendered(&said(&["man", "serve"]));
    let help = said(&["serve", "--help"]);
    let flags: Vec<&str> = help
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--"))
        .filter_map(|flag| flag.split_whitespace().next())
        .collect();
    assert!(flags.len() > 25, "{flags:?}");
    for flag in flags {
        assert!(text.contains(&format!("--{flag}")), "{flag}");
    }
    for words in ["ONESEAT_BIND", "Examples:", "it lets requests under way finish"] {
        assert!(text.contains(words), "{words} is missing from:\n{text}");
    }
    let program = rendered(&said(&["man"])).0;
    for part in ["Examples:", "Environment:", "Files:", "Exit status:"] {
        assert!(
            program.lines().any(|line| line.trim() == part),
            "{part}:\n{program}"
        );
    }
    assert!(
        rendered(&said(&["man", "user", "add"]))
            .0
            .contains("--password-stdin")
    );
}

#[test]
fn a_page_that_is_not_there_is_one_line() {
    for (args, code) in [
        (&["man", "sign-in"][..], 2),
        (&["man", "user", "nobody"], 2),
        (&["man", "--output", "/nowhere"], 1),
    ] {
        let output = oneseat(args, "");
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), error.lines().count()),
            (Some(code), 1),
            "{error}"
        );
    }
}
