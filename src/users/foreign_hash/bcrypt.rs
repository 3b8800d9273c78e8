//! bcrypt, as Laravel, Node, Go, Supabase, Ory Kratos, Devise and many others write it.

use super::StoredHash;
use super::derivation::Derivation;
use super::encoding::bcrypt_base64;
use super::input::Input;

pub(super) fn read(text: &str) -> Option<StoredHash> {
    // No prefix, that of Nextcloud's first format, and that of OpenLDAP. Below: that of Devise, which an
    // export adds where there is a pepper.
    for prefix in ["", "1|", "{CRYPT}"] {
        if let Some(read) = text.strip_prefix(prefix).and_then(modular_crypt) {
            return Some(read);
        }
    }
    Some(modular_crypt(text.strip_prefix("{devise}")?)?.with(Input::Peppered))
}

/// `$2b$12$` with 22 letters of salt and 31 of the hash. `2a`, `2b` and `2y` differ only in old faults of the
/// programs that wrote them.
pub(super) fn modular_crypt(text: &str) -> Option<StoredHash> {
    let rest = ["$2a$", "$2b$", "$2y$"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))?;
    let (cost, letters) = rest.split_once('$')?;
    if cost.len() != 2 || letters.len() != 53 || !letters.is_ascii() {
        return None;
    }
    let (salt, hash) = letters.split_at(22);
    Some(StoredHash::of(Derivation::Bcrypt {
        cost: cost.parse().ok()?,
        salt: bcrypt_base64(salt)?.try_into().ok()?,
        expected: bcrypt_base64(hash)?,
    }))
}
