//! Tests which hashes are read and which are refused, and what bcrypt does with its input.
//! `tests/it/moving_in` signs in with every format.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::*;

/// Passwords, and the hashes that other systems store for them (script/foreign-hashes).
const VECTORS: &str = include_str!("../../../tests/it/moving_in/vectors.jsonl");

fn matches(password: &str, hash: &str) -> bool {
    let hash = StoredHash::parse(hash).unwrap();
    let password = Password::typed(password).unwrap();
    hash.matches(&password, None, &mut Memory::new()).unwrap()
}

#[test]
fn every_form_is_read_within_the_bounds_and_one_more_letter_is_none() {
    for line in VECTORS.lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let hash = vector["hash"].as_str().unwrap();
        let read = StoredHash::parse(hash).unwrap_or_else(|error| panic!("{error}: {line}"));
        let pepper = vector["pepper"].as_str().map(|text| Pepper::new(text).unwrap());
        assert_eq!(read.needs(None).is_err(), pepper.is_some(), "{line}");
        assert!(read.needs(pepper.as_ref()).is_ok(), "{line}");
        // The letter is put in front, because some formats end in base64 of any length.
        assert!(StoredHash::parse(&format!("x{hash}")).is_err(), "{line}");
    }
    assert!(VECTORS.lines().count() > 50);
}

#[test]
fn what_asks_for_too_much_or_for_nothing_is_refused_before_anything_is_computed() {
    let (b64, hex) = ("A".repeat(43), "ab".repeat(32));
    let spring = "0".repeat(96);
    let keycloak = |algorithm: &str, iterations: u64, memory: &str| {
        format!(
            "{{\"secretData\":{{\"value\":\"{b64}\",\"salt\":\"{b64}\"}},\"credentialData\":{{\"hashIterations\":{iterations},\
             \"algorithm\":\"{algorithm}\",\"additionalParameters\":{{\"memory\":[\"{memory}\"],\"type\":[\"id\"],\
             \"version\":[\"1.3\"],\"parallelism\":[\"1\"]}}}}}}"
        )
    };
    let dear = [
        format!("pbkdf2_sha256$2000001$salt${b64}"),
        format!("pbkdf2_sha256$4294967295$salt${b64}"),
        format!("pbkdf2:sha512:1000001$salt${}", "ab".repeat(64)),
        // Two blocks of output take twice as long.
        format!("pbkdf2:sha256:1000001$salt${}", "ab".repeat(64)),
        format!("scrypt:1048576:8:1$salt${hex}"),
        format!("scrypt:16384:8:4294967295$salt${hex}"),
        format!("scrypt:65536:65536:65536$salt${hex}"),
        format!("scrypt:32768:8:9$salt${hex}"),
        format!("scrypt:1:8:1$salt${hex}"),
        // Little memory, but it is filled many times.
        format!("scrypt:2:1024:1024$salt${hex}"),
        format!("scrypt:16384:0:1$salt${hex}"),
        format!("$scrypt$ln=63,r=8,p=1${b64}${b64}"),
        format!("{{scrypt}}$ffffff${b64}${b64}"),
        format!("$argon2id$v=19$m=131073,t=1,p=1${b64}${b64}"),
        format!("argon2$argon2id$v=19$m=102400,t=6,p=8${b64}${b64}"),
        format!("3|$argon2id$v=19$m=4194304,t=4,p=1${b64}${b64}"),
        keycloak("argon2", 5, "1048576"),
        keycloak("pbkdf2-sha512", 1_000_001, "0"),
        format!("$2b$15${}", "a".repeat(53)),
        format!("$2b$31${}", "a".repeat(53)),
        format!("$2b$03${}", "a".repeat(53)),
        format!("$wp$2y$31${}", "a".repeat(53)),
        format!("$P$S{}", "a".repeat(30)),
        "AQAAAAEA////AAAAEKqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq".to_owned(),
    ];
    let unreadable = [
        String::new(),
        "correct horse".to_owned(),
        "{noop}secret".to_owned(),
        "!".to_owned(),
        "x".repeat(LONGEST + 1),
        format!("{{SSHA}}{}", "\0"),
        "pbkdf2_sha256$1000$salt$".to_owned(),
        "pbkdf2_sha256$1000$salt$AAAA".to_owned(),
        format!("pbkdf2_sha256$0$salt${b64}"),
        format!("pbkdf2_sha256$999$salt${b64}"),
        format!("pbkdf2_sha256$-1$salt${b64}"),
        format!("pbkdf2_sha256$1e6$salt${b64}"),
        format!("pbkdf2:md5:1000$salt${hex}"),
        format!("scrypt:16383:8:1$salt${hex}"),
        format!("{{pbkdf2}}{spring}"),
        format!("$2x$10${}", "a".repeat(53)),
        format!("$2b$10${}", "a".repeat(52)),
        format!("$2b$10${}é", "a".repeat(51)),
        format!("$argon2id$v=18$m=19456,t=2,p=1${b64}${b64}"),
        format!("$argon2id$v=19$m=19456,t=2,p=1${b64}"),
        keycloak("argon2", 5, "-1"),
        keycloak("md5", 5, "0"),
        "{\"secretData\":\"{}\",\"credentialData\":\"{}\"}".to_owned(),
        "AQAAAAEAACcQ/////4AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        "AQ==".to_owned(),
        "AAAA".to_owned(),
        "{SSHA}AAAA".to_owned(),
        "$P$B".to_owned(),
        "::".to_owned(),
        "$$$$".to_owned(),
    ];
    let began = Instant::now();
    let reason = |hash: &String| StoredHash::parse(hash).err();
    for hash in &dear {
        assert_eq!(reason(hash), Some(UnusableHash::TooDear), "{hash}");
    }
    for hash in &unreadable {
        assert_eq!(reason(hash), Some(UnusableHash::Unreadable), "{hash}");
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn a_long_password_costs_no_more_than_a_short_one() {
    let at_cost = |letter: char| format!("$P${letter}{}", "a".repeat(30));
    let long = "\u{1f511}".repeat(1_024);
    let began = Instant::now();
    // 2^20 rounds of 65 blocks would take a minute.
    assert!(!matches(&long, &at_cost('I')));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    // This is the default cost of WordPress. It is within the bounds for every password that phpass takes.
    assert!(matches(&"x".repeat(1_000), PHPASS_OF_1000));
}

#[test]
fn what_takes_much_memory_leaves_none_to_the_thread() {
    let b64 = "A".repeat(43);
    let memory = &mut Memory::new();
    for (hash, kept) in [
        (format!("$argon2id$v=19$m=19456,t=1,p=1${b64}${b64}"), 19_456),
        (format!("$argon2id$v=19$m=65536,t=1,p=1${b64}${b64}"), 0),
        (format!("$argon2id$v=19$m=19456,t=1,p=1${b64}${b64}"), 19_456),
        (format!("scrypt:1024:8:1$salt${}", "ab".repeat(64)), 0),
    ] {
        let read = StoredHash::parse(&hash).unwrap();
        let password = Password::typed("wrong").unwrap();
        assert!(!read.matches(&password, None, memory).unwrap());
        assert_eq!(memory.capacity() >= 19_456, kept > 0, "{hash}");
        assert_eq!(memory.len(), kept, "{hash}");
    }
}

#[test]
fn what_takes_much_memory_waits_for_its_turn_and_holds_up_no_other() {
    let b64 = "A".repeat(43);
    let check = move |params: &str| {
        let hash = format!("$argon2id$v=19${params},p=1${b64}${b64}");
        !matches("wrong", &hash)
    };
    let turn = derivation::LARGE.lock().unwrap_or_else(PoisonError::into_inner);
    let large = std::thread::spawn({
        let check = check.clone();
        move || check("m=65536,t=1")
    });
    // This is eight times the work of the other.
    assert!(check("m=19456,t=26"));
    assert!(!large.is_finished());
    drop(turn);
    assert!(large.join().unwrap());
}

/// A hash at the lowest cost, by the package bcryptjs.
const NUL_COUNTS: &str = "$2b$04$9O1lOmCIf9lrHTp1TECT9u2.F.DJ.FhuI8qf2cLDE3jBQUquwLXHO";
const PHPASS_OF_1000: &str = "$P$Bsomesalttlk0FwZzLj90aPcy9JziW0";
const OF_72: &str = "$2b$04$zgMUZoeHx34L058DdqZ60.IzgVfsqDlSMoyfblESMGFokjA6dN9mK";

#[test]
fn bcrypt_counts_a_nul_and_72_bytes() {
    assert!(matches("nul\0counts", NUL_COUNTS));
    assert!(!matches("nul", NUL_COUNTS) && !matches("nul\0count", NUL_COUNTS));
    let start = "x".repeat(72);
    assert!(matches(&start, OF_72) && matches(&format!("{start} what follows"), OF_72));
    assert!(!matches(&start[1..], OF_72));
}

#[test]
fn a_letter_is_tried_as_it_was_typed_and_in_its_normal_form() {
    let composed =
        "{SHA512}DJ2sf+YTcZFweQ8Ipfe59e+HbHtX/0KQdL9BeWnCxUEH2STa9ecGVor8pHEtkdoc/fd1iNdkA6hFF34j4664zg==";
    let decomposed =
        "{SHA512}kFL4KU72uAA6LbRiptcHh05hGHxEmKY4x8jL4628XK4UjvmjhkLOe0gKsXQsGxNe5Bo/o+ypbRLlU3L6uympfg==";
    assert!(matches("caf\u{e9}", composed) && matches("cafe\u{301}", composed));
    assert!(matches("cafe\u{301}", decomposed) && !matches("caf\u{e9}", decomposed));
}
