//! What is read from each setting that is no mere range, and what an operator reads about a value that cannot be used.

use std::fmt::Debug;

use oneseat::config::ServeConfig;

use crate::support::{config_of, oneseat};

/// How a value is shown to the tests.
type Shown = fn(&ServeConfig) -> String;

fn shown(value: impl Debug) -> String {
    format!("{value:?}")
}

/// A flag with what it may be beside others, what it must not be, and the reason.
struct Setting {
    flag: &'static str,
    beside: &'static [&'static str],
    /// Each with the value that is read.
    right: &'static [(&'static str, &'static str)],
    wrong: &'static [&'static str],
    why: &'static str,
    read: Shown,
}

const DURATION: &str = "must be between 1s and 10 years";
const NO_DURATION: &str = "not a duration; write it like 90s, 15m or 2h";
/// Ten years of 365 days.
const LONGEST: (&str, &str) = ("3650d", "315360000s");

const SETTINGS: [Setting; 10] = [
    Setting {
        flag: "--idle-timeout",
        beside: &["--max-lifetime=3650d"],
        right: &[("1s", "1s"), LONGEST, ("90m", "5400s")],
        wrong: &["999ms", "0s", "3650d 1s"],
        why: DURATION,
        read: |config| shown(config.policy.sessions.idle_timeout),
    },
    Setting {
        flag: "--activity-threshold",
        beside: &["--idle-timeout=10m"],
        right: &[("1s", "1s"), ("5m", "300s"), (" 60s ", "60s"), ("", "300s")],
        wrong: &["soon", "1", "-5s"],
        why: NO_DURATION,
        read: |config| shown(config.policy.sessions.activity_threshold),
    },
    Setting {
        flag: "--max-lifetime",
        beside: &["--idle-timeout=10m"],
        right: &[("10m", "600s"), LONGEST],
        wrong: &["999ms", "3650d 1s"],
        why: DURATION,
        read: |config| shown(config.policy.sessions.max_lifetime),
    },
    Setting {
        flag: "--takeover",
        beside: &[],
        right: &[("replace", "Replace"), ("ask", "Ask")],
        wrong: &["never", "Ask"],
        why: "must be replace or ask",
        read: |config| shown(config.policy.takeover),
    },
    Setting {
        flag: "--bind",
        beside: &[],
        right: &[("127.0.0.1:0", "127.0.0.1:0"), ("[::1]:80", "[::1]:80")],
        wrong: &["localhost:80", "127.0.0.1", "::1:80", ""],
        why: "not an address and port; write it like 127.0.0.1:8080",
        read: |config| shown(config.http.bind),
    },
    Setting {
        flag: "--metrics-bind",
        beside: &[],
        right: &[("0.0.0.0:9090", "Some(0.0.0.0:9090)"), ("", "None")],
        wrong: &["9090"],
        why: "not an address and port; write it like 127.0.0.1:8080",
        read: |config| shown(config.http.metrics_bind),
    },
    Setting {
        flag: "--static-dir",
        beside: &[],
        right: &[("/usr", "Some(\"/usr\")"), ("", "None")],
        wrong: &["/no/such/directory", "/etc/passwd"],
        why: "there is no such directory",
        read: |config| shown(&config.http.static_dir),
    },
    Setting {
        flag: "--public-url",
        beside: &[],
        right: &[
            (
                "https://Seat.Example.org:443/",
                "Some(\"https://seat.example.org\")",
            ),
            ("", "None"),
        ],
        wrong: &[
            "https://seat.example.org/path",
            "seat.example.org",
            "https:\\\\seat.example.org",
        ],
        why: "write scheme and host alone, like https://seat.example.org",
        read: |config| shown(&config.http.public_url),
    },
    Setting {
        flag: "--smtp-utf8",
        beside: &[],
        right: &[("on", "true"), ("off", "false"), ("", "true")],
        wrong: &["yes"],
        why: "must be on or off",
        read: |config| shown(config.policy.takes_utf8_addresses),
    },
    Setting {
        flag: "--sign-in-mail",
        beside: &MAILS,
        right: &[("on", "NewPlaces"), ("off", "Needed"), ("", "NewPlaces")],
        wrong: &["yes", "On"],
        why: "must be on or off",
        read: |config| shown(config.policy.mail),
    },
];

/// The settings that mails need.
const MAILS: [&str; 3] = [
    "--smtp-url=smtp://127.0.0.1:25",
    "--mail-from=oneseat <seat@example.org>",
    "--public-url=https://seat.example.org",
];

fn wrong(flags: &[&str]) -> Vec<String> {
    let words = config_of(flags).unwrap_err().to_string();
    words.lines().map(str::to_owned).collect()
}

#[test]
fn a_value_is_read_as_it_is_meant_or_refused_with_the_reason() {
    for Setting {
        flag,
        beside,
        right,
        wrong: values,
        why,
        read,
    } in SETTINGS
    {
        let with = |value: &str| format!("{flag}={value}");
        for (value, expected) in right {
            let flag = with(value);
            let config = config_of(&[beside, &[flag.as_str()][..]].concat());
            let config = config.unwrap_or_else(|wrong| panic!("{flag}: {wrong}"));
            assert_eq!(read(&config), *expected, "{flag}");
        }
        for value in values {
            let told = wrong(&[beside, &[with(value).as_str()][..]].concat());
            assert_eq!(told, [format!("{flag} `{value}`: {why}")]);
        }
    }
}

#[test]
fn settings_that_need_each_other_are_refused_alone_and_all_at_once() {
    let [smtp, from, url] = MAILS;
    let need = "--smtp-url and --mail-from need each other";
    let lead = "--smtp-url needs --public-url: mails lead people to it";
    let sign_in = "--sign-in-mail on needs --smtp-url, --mail-from and --public-url";
    let clear = "--smtp-url `(hidden)`: links and its password would travel in the clear: write smtps://, or add \
                 ?tls=required (STARTTLS); only a server on this machine does without";
    let lifetime = "--max-lifetime `1h` must not be shorter than --idle-timeout `2h`: lengthen the one or shorten the other";
    let threshold = "--activity-threshold `301s` must be at most half of --idle-timeout `10m`, or activity would be noticed \
                     too late to count";
    let reached = "--bind names an address that other machines reach, and passwords would travel in the clear: give \
                   --tls-cert and --tls-key, or --trusted-proxies for a proxy in front that speaks TLS, or --insecure-http";
    let tls = "--tls-cert and --tls-key need each other";
    for (flags, told) in [
        (&[smtp, url][..], &[need][..]),
        (&[from, url], &[need]),
        (&[smtp, from], &[lead]),
        (&[smtp], &[need, lead]),
        (&["--sign-in-mail=on"], &[sign_in]),
        (&["--smtp-url=smtp://mail.example.org", from, url], &[clear]),
        (
            &["--smtp-url=smtp://mail.example.org?tls=opportunistic", from, url],
            &[clear],
        ),
        (&["--max-lifetime=1h"], &[lifetime]),
        (&["--idle-timeout=10m", "--activity-threshold=301s"], &[threshold]),
        (&["--bind=0.0.0.0:80"], &[reached]),
        (&["--tls-cert=/etc/passwd"], &[tls]),
        (&["--tls-key=/etc/passwd"], &[tls]),
        (
            &["--tls-cert=/etc/passwd", "--bind=0.0.0.0:80", smtp],
            &[tls, need, lead],
        ),
    ] {
        assert_eq!(wrong(flags), told, "{flags:?}");
    }
    for flags in [
        &["--smtp-url=smtp://mail.example.org?tls=required", from, url][..],
        &["--smtp-url=smtps://mail.example.org", from, url],
        &["--bind=0.0.0.0:80", "--insecure-http"],
        &["--bind=0.0.0.0:80", "--trusted-proxies=10.0.0.0/8"],
        &["--sign-in-mail=off"],
        &["--max-lifetime=2h"],
    ] {
        assert!(config_of(flags).is_ok(), "{flags:?}");
    }
}

#[test]
fn where_the_database_is_cannot_be_mistaken() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (empty, nul) = (file("empty", " \n"), file("nul", "postgres://a\0b"));
    let good = file("good", " postgres://127.0.0.1:1/x \n");
    let of_file = |path: &str| format!("--database-url-file={path}");
    let is_empty = |flag: &str, otherwise: &str, variable: &str| {
        format!("{flag} is empty; for {otherwise} leave it out and unset {variable}")
    };
    let no_string = "--database-url `(hidden)`: is no connection string of PostgreSQL; write it like postgres://user@host/database";
    let private = "a private PostgreSQL";
    for (flags, told) in [
        (
            vec!["--database-url= ".to_owned()],
            is_empty("--database-url", private, "DATABASE_URL"),
        ),
        (
            vec!["--database-url-file=".to_owned()],
            is_empty("--database-url-file", private, "DATABASE_URL_FILE"),
        ),
        (
            vec!["--data-dir=".to_owned()],
            is_empty("--data-dir", "the usual directory", "ONESEAT_DATA_DIR"),
        ),
        (
            vec!["--database-url=postgres://".to_owned(), of_file(&good)],
            "--database-url and --database-url-file exclude each other".to_owned(),
        ),
        (
            vec![of_file(&empty)],
            format!("--database-url-file `{empty}`: is empty"),
        ),
        (
            vec![of_file(&nul)],
            format!("--database-url-file `{nul}`: holds a NUL character"),
        ),
        (vec!["--database-url=Host=x".to_owned()], no_string.to_owned()),
        (vec!["--database-url==x".to_owned()], no_string.to_owned()),
        (
            vec![of_file("/no/such/file")],
            "--database-url-file `/no/such/file`: cannot be read: No such file or directory (os error 2)"
                .to_owned(),
        ),
        (
            vec![
                "--database-url=postgres://".to_owned(),
                "--db-pool-size=1".to_owned(),
            ],
            "--db-pool-size `1`: must be a whole number from 2 to 250".to_owned(),
        ),
        (
            vec![
                "--database-url=postgres://".to_owned(),
                "--db-pool-size=251".to_owned(),
            ],
            "--db-pool-size `251`: must be a whole number from 2 to 250".to_owned(),
        ),
    ] {
        let flags: Vec<_> = ["migrate"]
            .into_iter()
            .chain(flags.iter().map(String::as_str))
            .collect();
        let refused = oneseat(&flags, "");
        let words = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(
            (refused.status.code(), words),
            (Some(2), format!("oneseat: this setting cannot be used: {told}\n")),
            "{flags:?}"
        );
    }
    // These are read, and nobody listens there.
    for flag in [of_file(&good), "--database-url=host=127.0.0.1 port=1".to_owned()] {
        for size in ["2", "250"] {
            let flags = ["migrate", &flag, "--db-pool-size", size];
            let words = String::from_utf8(oneseat(&flags, "").stderr).unwrap();
            let refused = "connection to server at \"127.0.0.1\", port 1 failed: Connection refused";
            assert!(words.contains(refused), "{flags:?}: {words}");
        }
    }
}
