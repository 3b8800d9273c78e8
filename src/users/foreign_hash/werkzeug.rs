//! The hashes of Werkzeug, which Flask uses.

use super::StoredHash;
use super::derivation::{Derivation, Sha};
use super::django::{log2, parts};

/// `scrypt:32768:8:1$SALT$HEX` or `pbkdf2:sha256:1000000$SALT$HEX`; the salt is text.
pub(super) fn read(text: &str) -> Option<StoredHash> {
    let [method, salt, hash] = parts(text)?;
    let (salt, expected) = (salt.as_bytes().to_vec(), hex::decode(hash).ok()?);
    let derivation = match method.split(':').collect::<Vec<_>>()[..] {
        ["scrypt", n, r, p] => Derivation::Scrypt {
            log_n: log2(n)?,
            r: r.parse().ok()?,
            p: p.parse().ok()?,
            salt,
            expected,
        },
        ["pbkdf2", sha, iterations] => Derivation::Pbkdf2 {
            sha: match sha {
                "sha1" => Sha::Sha1,
                "sha256" => Sha::Sha256,
                "sha512" => Sha::Sha512,
                _ => return None,
            },
            iterations: iterations.parse().ok()?,
            salt,
            expected,
        },
        _ => return None,
    };
    Some(StoredHash::of(derivation))
}
