//! WordPress, and phpass, which older versions of it and phpBB use.

use super::derivation::Derivation;
use super::encoding::{crypt_bytes, crypt_value};
use super::input::Input;
use super::{StoredHash, bcrypt};

pub(super) fn read(text: &str) -> Option<StoredHash> {
    if let Some(hash) = text.strip_prefix("$wp") {
        return Some(bcrypt::modular_crypt(hash)?.with(Input::WordPressHmac));
    }
    let rest = text.strip_prefix("$P$").or_else(|| text.strip_prefix("$H$"))?;
    Some(phpass(rest)?.with(Input::Trimmed))
}

/// phpass: one letter for the rounds, eight letters of salt, 22 of hash.
fn phpass(rest: &str) -> Option<StoredHash> {
    if rest.len() != 31 || !rest.is_ascii() {
        return None;
    }
    let (cost, rest) = rest.split_at(1);
    let (salt, hash) = rest.split_at(8);
    Some(StoredHash::of(Derivation::Phpass {
        cost: crypt_value(*cost.as_bytes().first()?)?,
        salt: salt.as_bytes().to_vec(),
        expected: crypt_bytes(hash)?,
    }))
}
