//! The hashes of better-auth.

use super::StoredHash;
use super::derivation::Derivation;
use super::input::Input;

/// `SALT:HASH`, 32 and 128 hex digits. The salt is the text of its digits, not the bytes that they stand for.
pub(super) fn read(text: &str) -> Option<StoredHash> {
    let (salt, hash) = text.split_once(':')?;
    let is_salt = salt.len() == 32 && salt.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_salt || hash.len() != 128 {
        return None;
    }
    let derivation = Derivation::Scrypt {
        log_n: 14,
        r: 16,
        p: 1,
        salt: salt.as_bytes().to_vec(),
        expected: hex::decode(hash).ok()?,
    };
    Some(StoredHash::of(derivation).with(Input::Nfkc))
}
