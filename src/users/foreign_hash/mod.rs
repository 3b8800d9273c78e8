//! Password hashes of other systems, for imported users.
//!
//! A stored hash is parsed into the two steps of its system: how the password becomes bytes ([`Input`]), and
//! what is computed from them ([`Derivation`]). Each family of systems has a file that knows its formats. The
//! cost of a hash is bounded before anything is computed.

mod argon2;
mod aspnet;
mod bcrypt;
mod better_auth;
mod derivation;
mod django;
mod encoding;
mod input;
mod keycloak;
mod ldap;
mod passlib;
mod spring;
mod werkzeug;
mod wordpress;

use self::derivation::Derivation;
use self::input::Input;
use super::Password;
use super::password_hash::{Memory, NotHashed};
use crate::config::Pepper;

/// The longest stored hash that is read, in bytes. No system stores more than some hundred.
const LONGEST: usize = 2_048;

/// Why nobody can sign in with a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableHash {
    /// The text has no known format.
    #[error("it cannot be read")]
    Unreadable,
    /// Checking it would take too much memory or time.
    #[error("it asks for more memory or passes than one sign-in may take")]
    TooDear,
    /// It was made with a pepper, and none is configured.
    #[error("it needs the pepper that it was made with (--password-pepper-file)")]
    NoPepper,
}

/// A stored hash that has been read, and costs no more than one sign-in may take.
// No Debug: it holds the hash.
pub(super) struct StoredHash {
    input: Input,
    derivation: Derivation,
}

/// Reads the formats of one family. `None` if the text has none of them.
type Reader = fn(&str) -> Option<StoredHash>;

/// Each format begins in its own way, so their order does not matter.
const READERS: [Reader; 11] = [
    argon2::read,
    aspnet::read,
    bcrypt::read,
    better_auth::read,
    django::read,
    keycloak::read,
    ldap::read,
    passlib::read,
    spring::read,
    werkzeug::read,
    wordpress::read,
];

impl StoredHash {
    /// Reads a stored hash.
    ///
    /// # Errors
    /// [`UnusableHash::Unreadable`], [`UnusableHash::TooDear`].
    pub(super) fn parse(text: &str) -> Result<Self, UnusableHash> {
        if text.len() > LONGEST || text.contains(char::is_control) {
            return Err(UnusableHash::Unreadable);
        }
        let read = READERS.iter().find_map(|read| read(text));
        let read = read.ok_or(UnusableHash::Unreadable)?;
        read.derivation.within_bounds()?;
        Ok(read)
    }

    /// Fails if the hash needs a pepper, and there is none.
    pub(super) fn needs(&self, pepper: Option<&Pepper>) -> Result<(), UnusableHash> {
        match (self.input, pepper) {
            (Input::Peppered, None) => Err(UnusableHash::NoPepper),
            _ => Ok(()),
        }
    }

    /// The hash as one of ours: we normalise passwords before we hash them.
    pub(super) fn normal(self) -> Self {
        self.with(Input::Normal)
    }

    /// Whether this is the hash of that password.
    pub(super) fn matches(
        &self,
        password: &Password,
        pepper: Option<&Pepper>,
        memory: &mut Memory,
    ) -> Result<bool, NotHashed> {
        for bytes in self.input.of(password, pepper) {
            if self.derivation.matches(&bytes, memory)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn of(derivation: Derivation) -> Self {
        Self {
            input: Input::AsTyped,
            derivation,
        }
    }

    /// The hash, computed from this input instead of the password as it was typed.
    fn with(self, input: Input) -> Self {
        Self { input, ..self }
    }
}

#[cfg(test)]
mod tests;
