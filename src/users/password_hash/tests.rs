//! Tests which hashes are made, computed and replaced.

use super::*;

fn password(text: &str) -> Password {
    Password::typed(text).unwrap()
}

fn is_wrong(text: &str, hash: &PasswordHash, memory: &mut Memory) -> bool {
    matches!(verify(&password(text), hash, None, memory), Ok(Checked::Wrong))
}

#[test]
fn a_hash_is_argon2id_with_the_recommended_parameters() {
    let hash = hash(&password("right"), &mut Memory::new()).unwrap();
    assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
}

#[test]
fn only_the_same_password_matches() {
    let memory = &mut Memory::new();
    let hash = hash(&password("right"), memory).unwrap();
    let right = verify(&password("right"), &hash, None, memory).unwrap();
    assert!(matches!(right, Checked::Right(None)));
    assert!(is_wrong("Right", &hash, memory));
}

#[test]
fn passwords_that_differ_at_byte_73_differ() {
    let memory = &mut Memory::new();
    let start = "x".repeat(72);
    let hash = hash(&password(&format!("{start}a")), memory).unwrap();
    assert!(is_wrong(&format!("{start}b"), &hash, memory));
}

/// A hash with other parameters than ours, in KiB and passes.
fn other(text: &str, memory_kib: u32, passes: u32) -> PasswordHash {
    let params = Params::new(memory_kib, passes, 1, Some(HASH_BYTES)).unwrap();
    let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
    let mut out = [0; HASH_BYTES];
    argon2_digest(
        password(text).as_bytes(),
        b"somesalt",
        algorithm,
        version,
        &params,
        &mut Memory::new(),
        &mut out,
    )
    .unwrap();
    let phc = phc::PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(version.into()),
        params: ParamsString::try_from(&params).unwrap(),
        salt: Some(Salt::new(b"somesalt").unwrap()),
        hash: Some(Output::new(&out).unwrap()),
    };
    PasswordHash(phc.to_string())
}

#[test]
fn a_weaker_or_dearer_hash_becomes_ours_when_the_password_is_right() {
    for (memory_kib, passes) in [(8, 1), (65_536, 3)] {
        let (stored, memory) = (other("right", memory_kib, passes), &mut Memory::new());
        assert!(!stored.is_ours());
        let Checked::Right(Some(ours)) = verify(&password("right"), &stored, None, memory).unwrap() else {
            panic!("the right password is wrong, or nothing replaces its hash");
        };
        assert!(ours.is_ours());
        assert!(matches!(
            verify(&password("right"), &ours, None, memory),
            Ok(Checked::Right(None))
        ));
        assert!(is_wrong("wrong", &stored, memory));
    }
}

#[test]
fn a_stored_hash_that_makes_no_sense_matches_nothing() {
    let nonsense = PasswordHash("correct horse".to_owned());
    let checked = verify(&password("x"), &nonsense, None, &mut Memory::new()).unwrap();
    assert!(matches!(checked, Checked::Unusable(UnusableHash::Unreadable)));
}

#[test]
fn a_stored_hash_that_asks_for_too_much_is_not_obeyed() {
    let phc = |params: &str| {
        let salt_and_hash = "c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        PasswordHash(format!("$argon2id$v=19${params}${salt_and_hash}"))
    };
    for params in [
        "m=4194304,t=50,p=1",
        "m=4194304,t=1,p=1",
        "m=131073,t=1,p=1",
        "m=131072,t=5,p=1",
        "m=19456,t=65,p=1",
        "m=8,t=4294967295,p=1",
        "m=19456,t=2,p=65",
    ] {
        let memory = &mut Memory::new();
        let checked = verify(&password("x"), &phc(params), None, memory).unwrap();
        assert!(
            matches!(checked, Checked::Unusable(UnusableHash::TooDear)),
            "{params}: {checked:?}"
        );
        // The check has cost as much as any wrong password.
        assert_eq!(memory.len(), usize::try_from(MEMORY_KIB).unwrap(), "{params}");
    }
    // Strong parameters of other systems are computed.
    for params in [
        "m=65536,t=3,p=4",
        "m=131072,t=4,p=1",
        "m=47104,t=1,p=1",
        "m=8,t=64,p=1",
    ] {
        assert!(is_wrong("x", &phc(params), &mut Memory::new()), "{params}");
    }
}
