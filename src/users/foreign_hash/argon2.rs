//! Argon2 as a PHC string: argon2-cffi, Ory Kratos, Laravel, PHP, and oneseat itself. Other systems write a
//! prefix in front of it.

use argon2::password_hash::phc;
use argon2::{Algorithm, Params, Version};

use super::StoredHash;
use super::derivation::Derivation;

/// No prefix, and those of Django, Nextcloud and OpenLDAP.
const PREFIXES: [&str; 5] = ["", "argon2", "2|", "3|", "{ARGON2}"];

pub(super) fn read(text: &str) -> Option<StoredHash> {
    PREFIXES
        .iter()
        .find_map(|prefix| phc_string(text.strip_prefix(prefix)?))
}

/// `$argon2id$v=19$m=65536,t=3,p=4$SALT$HASH`
pub(super) fn phc_string(text: &str) -> Option<StoredHash> {
    if !text.starts_with("$argon2") {
        return None;
    }
    let phc = phc::PasswordHash::new(text).ok()?;
    let version = match phc.version {
        Some(version) => Version::try_from(version).ok()?,
        // The reference implementation wrote no version before it had a second one.
        None => Version::V0x10,
    };
    Some(StoredHash::of(Derivation::Argon2 {
        algorithm: Algorithm::try_from(phc.algorithm.as_str()).ok()?,
        version,
        params: Params::try_from(&phc).ok()?,
        salt: phc.salt?.to_vec(),
        expected: phc.hash?.as_bytes().to_vec(),
    }))
}
