//! Passlib. Its Argon2 and bcrypt hashes are read in `argon2` and `bcrypt`.

use super::StoredHash;
use super::derivation::{Derivation, Sha};
use super::django::parts;
use super::encoding::{adapted_base64, base64};

/// `$pbkdf2-sha256$29000$SALT$HASH` or `$scrypt$ln=16,r=8,p=1$SALT$HASH`.
pub(super) fn read(text: &str) -> Option<StoredHash> {
    let [algorithm, parameters, salt, hash] = parts(text.strip_prefix('$')?)?;
    let sha = match algorithm {
        "pbkdf2" => Sha::Sha1,
        "pbkdf2-sha256" => Sha::Sha256,
        "pbkdf2-sha512" => Sha::Sha512,
        "scrypt" => return scrypt(parameters, salt, hash),
        _ => return None,
    };
    Some(StoredHash::of(Derivation::Pbkdf2 {
        sha,
        iterations: parameters.parse().ok()?,
        salt: adapted_base64(salt)?,
        expected: adapted_base64(hash)?,
    }))
}

fn scrypt(parameters: &str, salt: &str, hash: &str) -> Option<StoredHash> {
    let [log_n, r, p] = parameters.split(',').collect::<Vec<_>>().try_into().ok()?;
    Some(StoredHash::of(Derivation::Scrypt {
        log_n: log_n.strip_prefix("ln=")?.parse().ok()?,
        r: r.strip_prefix("r=")?.parse().ok()?,
        p: p.strip_prefix("p=")?.parse().ok()?,
        salt: base64(salt)?,
        expected: base64(hash)?,
    }))
}
