//! Each setting takes what is within its range, and nothing beside it.

use crate::support::config_of;

/// A flag, what is too little for it, the least, the most, and what is too much.
const RANGES: [(&str, [&str; 4]); 13] = [
    ("--lockout", ["999ms", "1s", "3650days", "3650days 1s"]),
    ("--history-retention", ["999ms", "1s", "3650days", "3650days 1s"]),
    ("--sweep-interval", ["999ms", "1s", "3650days", "3650days 1s"]),
    ("--stop-delay", ["999ms", "1s", "3650days", "3650days 1s"]),
    ("--validation-lease", ["19ms", "20ms", "2s", "2001ms"]),
    ("--page-grace", ["9999ms", "10s", "24h", "24h 1ms"]),
    ("--validation-capacity", ["0", "1", "100000000", "100000001"]),
    ("--max-failed-attempts", ["0", "1", "100", "101"]),
    ("--db-pool-size", ["1", "2", "250", "251"]),
    ("--workers", ["0", "1", "512", "513"]),
    ("--login-rate", ["0", "1", "1000000", "1000001"]),
    ("--max-connections", ["0", "1", "1000000", "1000001"]),
    ("--max-event-streams", ["0", "1", "1000000", "1000001"]),
];

#[test]
fn a_value_within_its_range_is_taken_and_the_next_one_is_refused_with_its_flag() {
    for (flag, [too_little, least, most, too_much]) in RANGES {
        for value in [least, most] {
            assert!(config_of(&[flag, value]).is_ok(), "{flag} {value}");
        }
        for value in [too_little, too_much, "-1"] {
            let flag_and_value = format!("{flag}={value}");
            let bad = config_of(&[&flag_and_value]).unwrap_err().to_string();
            assert!(bad.starts_with(&format!("{flag} `{value}`")), "{bad}");
        }
    }
    for off in ["--validation-lease", "--page-grace", "--stop-delay"] {
        assert!(config_of(&[off, "0"]).is_ok(), "{off}");
    }
}

#[test]
fn limits_of_a_session_that_fit_exactly_are_taken() {
    for (flags, fits) in [
        (["--idle-timeout=2h", "--activity-threshold=1h"], true),
        (["--idle-timeout=2h", "--activity-threshold=1h 1s"], false),
        (["--idle-timeout=12h", "--max-lifetime=12h"], true),
        (["--idle-timeout=12h 1s", "--max-lifetime=12h"], false),
    ] {
        assert_eq!(config_of(&flags).is_ok(), fits, "{flags:?}");
    }
    let without_a_lease = config_of(&["--validation-lease", "0"]).unwrap();
    assert_eq!(without_a_lease.memory.sessions(), 0);
    let with_one = config_of(&["--validation-capacity", "7"]).unwrap();
    assert_eq!(with_one.memory.sessions(), 7);
}

#[test]
fn a_text_of_the_site_has_its_greatest_length_and_no_more() {
    let links = |count: usize| vec!["Help=/help"; count].join(",");
    let label = |length: usize| format!("{}=/help", "ä".repeat(length));
    let path = |length: usize| format!("Help=/{}", "x".repeat(length - 1));
    let address = |length: usize| format!("Help={:x<length$}", "https://example.org/");
    for (flag, fits, is_too_much) in [
        ("--site-name", "ä".repeat(40), "ä".repeat(41)),
        ("--site-links", links(8), links(9)),
        ("--site-links", label(40), label(41)),
        ("--site-links", path(500), path(501)),
        ("--site-links", address(500), address(501)),
    ] {
        assert!(config_of(&[flag, &fits]).is_ok(), "{flag} {fits}");
        let bad = config_of(&[flag, &is_too_much]).unwrap_err().to_string();
        assert!(bad.starts_with(flag), "{bad}");
    }
    let all = config_of(&["--site-links", &links(8)]).unwrap();
    assert_eq!(all.site.links.len(), 8);
}

#[test]
fn a_file_of_a_setting_has_its_greatest_size_and_no_more() {
    const SVG: &str = "<svg xmlns='http://www.w3.org/2000/svg'/>";
    // What is too much are blanks: cut off, the file would be as good as before.
    let svg = |bytes: usize| format!("{SVG}{}", " ".repeat(bytes - SVG.len()));
    let pepper = |bytes: usize| format!("{}\r\n", "x".repeat(bytes));
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    for (flag, fits, is_too_much) in [
        ("--site-logo", svg(64 * 1024), svg(64 * 1024 + 1)),
        ("--password-pepper-file", pepper(1_024), pepper(1_025)),
    ] {
        std::fs::write(path, fits).unwrap();
        assert!(config_of(&[flag, path]).is_ok(), "{flag}");
        std::fs::write(path, is_too_much).unwrap();
        let bad = config_of(&[flag, path]).unwrap_err().to_string();
        assert!(bad.starts_with(flag), "{bad}");
    }
    std::fs::write(path, pepper(7)).unwrap();
    let read = config_of(&["--password-pepper-file", path]).unwrap();
    assert_eq!(read.pepper.unwrap().as_bytes(), b"xxxxxxx");
}
