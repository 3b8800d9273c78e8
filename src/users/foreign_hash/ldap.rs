//! The hashes of LDAP directories: `{SSHA}` and its variants, with or without a salt (RFC 2307 and OpenLDAP's
//! pw-sha2).

use super::StoredHash;
use super::derivation::{Derivation, Sha};
use super::encoding::base64;

pub(super) fn read(text: &str) -> Option<StoredHash> {
    let (scheme, hash) = text.strip_prefix('{')?.split_once('}')?;
    let (is_salted, sha) = match &*scheme.to_ascii_uppercase() {
        "SHA" => (false, Sha::Sha1),
        "SHA256" => (false, Sha::Sha256),
        "SHA384" => (false, Sha::Sha384),
        "SHA512" => (false, Sha::Sha512),
        "SSHA" => (true, Sha::Sha1),
        "SSHA256" => (true, Sha::Sha256),
        "SSHA384" => (true, Sha::Sha384),
        "SSHA512" => (true, Sha::Sha512),
        _ => return None,
    };
    let mut expected = base64(hash)?;
    if expected.len() < sha.len() || is_salted == (expected.len() == sha.len()) {
        return None;
    }
    let salt = expected.split_off(sha.len());
    Some(StoredHash::of(Derivation::Salted { sha, salt, expected }))
}
