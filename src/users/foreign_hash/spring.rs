//! The hashes of Spring Security: `{id}`, which names an encoder, and the hash that it made.

use super::derivation::{Derivation, Sha};
use super::django::parts;
use super::encoding::base64;
use super::{StoredHash, argon2, bcrypt, ldap};

/// The length of a PBKDF2 hash, in bytes. The salt comes before it.
const PBKDF2_BYTES: usize = 32;

pub(super) fn read(text: &str) -> Option<StoredHash> {
    let (id, hash) = text.strip_prefix('{')?.split_once('}')?;
    match id {
        "bcrypt" => bcrypt::modular_crypt(hash),
        "argon2" | "argon2@SpringSecurity_v5_8" => argon2::phc_string(hash),
        "pbkdf2" => pbkdf2(Sha::Sha1, 185_000, 8, hash),
        "pbkdf2@SpringSecurity_v5_8" => pbkdf2(Sha::Sha256, 310_000, 16, hash),
        "scrypt" | "scrypt@SpringSecurity_v5_8" => scrypt(hash),
        "ldap" => ldap::read(hash),
        _ => None,
    }
}

/// Salt and hash together in hex. The id determines the other parameters.
fn pbkdf2(sha: Sha, iterations: u32, salt_bytes: usize, hash: &str) -> Option<StoredHash> {
    let mut salt = hex::decode(hash).ok()?;
    if salt.len() != salt_bytes + PBKDF2_BYTES {
        return None;
    }
    let expected = salt.split_off(salt_bytes);
    Some(StoredHash::of(Derivation::Pbkdf2 {
        sha,
        iterations,
        salt,
        expected,
    }))
}

/// `$100801$SALT$HASH`: the binary logarithm of N, then two digits for r and two for p, in hex.
fn scrypt(hash: &str) -> Option<StoredHash> {
    let [parameters, salt, hash] = parts(hash.strip_prefix('$')?)?;
    let [_, log_n, r, p] = u32::from_str_radix(parameters, 16).ok()?.to_be_bytes();
    Some(StoredHash::of(Derivation::Scrypt {
        log_n,
        r: r.into(),
        p: p.into(),
        salt: base64(salt)?,
        expected: base64(hash)?,
    }))
}
