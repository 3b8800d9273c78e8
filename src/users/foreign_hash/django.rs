//! Django 1.4 to 6.1. Its Argon2 hashes are read in `argon2`.

use super::derivation::{Derivation, Sha};
use super::encoding::base64;
use super::input::Input;
use super::{StoredHash, bcrypt};

pub(super) fn read(text: &str) -> Option<StoredHash> {
    let (algorithm, rest) = text.split_once('$')?;
    match algorithm {
        "pbkdf2_sha256" => pbkdf2(Sha::Sha256, rest),
        "pbkdf2_sha1" => pbkdf2(Sha::Sha1, rest),
        "scrypt" => scrypt(rest),
        "bcrypt" => bcrypt::modular_crypt(rest),
        "bcrypt_sha256" => Some(bcrypt::modular_crypt(rest)?.with(Input::Sha256Hex)),
        _ => None,
    }
}

/// `ITERATIONS$SALT$HASH`; the salt is text.
fn pbkdf2(sha: Sha, rest: &str) -> Option<StoredHash> {
    let [iterations, salt, hash] = parts(rest)?;
    Some(StoredHash::of(Derivation::Pbkdf2 {
        sha,
        iterations: iterations.parse().ok()?,
        salt: salt.as_bytes().to_vec(),
        expected: base64(hash)?,
    }))
}

/// `N$SALT$R$P$HASH`; the salt is text.
fn scrypt(rest: &str) -> Option<StoredHash> {
    let [n, salt, r, p, hash] = parts(rest)?;
    Some(StoredHash::of(Derivation::Scrypt {
        log_n: log2(n)?,
        r: r.parse().ok()?,
        p: p.parse().ok()?,
        salt: salt.as_bytes().to_vec(),
        expected: base64(hash)?,
    }))
}

/// Splits the text at dollar signs. `None` if it has not exactly `N` parts.
pub(super) fn parts<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.split('$').collect::<Vec<_>>().try_into().ok()
}

/// The binary logarithm of a power of two.
pub(super) fn log2(number: &str) -> Option<u8> {
    let number: u64 = number.parse().ok()?;
    let is_power = number.is_power_of_two();
    is_power.then(|| u8::try_from(number.ilog2()).ok()).flatten()
}
