//! Passwords: what may be typed, and what may be set.

use std::fmt;

use rand::TryRng;
use rand::rngs::SysRng;
use unicode_normalization::UnicodeNormalization;

/// Most code points in a password. Longer input is refused before any hashing.
const LONGEST: usize = 128;
/// Fewest code points in a new password: the only factor (NIST SP 800-63B-4, 3.1.1.2).
const SHORTEST: usize = 15;

/// A password in clear, in NFC (NIST SP 800-63B-4, 3.1.1.2), for as long as it takes to hash it.
#[derive(Clone)]
pub struct Password(String);

/// Why a text cannot be a password, in words for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Nothing was typed.
    #[error("password must not be empty")]
    Empty,
    /// Too much was typed.
    #[error("password must not be longer than {LONGEST} characters")]
    TooLong,
    /// Not for a new one.
    #[error("password must have at least {SHORTEST} characters")]
    TooShort,
}

impl Password {
    /// A password somebody typed to sign in: any that could ever have been set.
    ///
    /// # Errors
    /// [`Unusable::Empty`], [`Unusable::TooLong`].
    pub fn typed(text: &str) -> Result<Self, Unusable> {
        if text.is_empty() {
            return Err(Unusable::Empty);
        }
        // Before NFC, which makes at most four code points into one: this bounds its work.
        if text.chars().take(4 * LONGEST + 1).count() > 4 * LONGEST {
            return Err(Unusable::TooLong);
        }
        let normal: String = text.nfc().collect();
        if normal.chars().count() > LONGEST {
            return Err(Unusable::TooLong);
        }
        Ok(Self(normal))
    }

    /// A password somebody chooses: no rules of composition, but long enough.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn chosen(text: &str) -> Result<Self, Unusable> {
        let password = Self::typed(text)?;
        if password.0.chars().count() < SHORTEST {
            return Err(Unusable::TooShort);
        }
        Ok(password)
    }

    /// A new random one that people can read aloud: 24 characters of 5 bits each, in groups.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> Result<Self, rand::rngs::SysError> {
        // Crockford's base 32: no i, l, o, u.
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut bytes = [0; 24];
        SysRng.try_fill_bytes(&mut bytes)?;
        let mut text = String::new();
        for (at, byte) in bytes.iter().enumerate() {
            if at > 0 && at % 6 == 0 {
                text.push('-');
            }
            text.push(char::from(ALPHABET[usize::from(byte % 32)]));
        }
        Ok(Self(text))
    }

    /// The password in clear, for the one place that shows a generated one.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is hashed.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_code_points() {
        assert!(Password::chosen(&"\u{1f600}".repeat(15)).is_ok());
        assert!(Password::chosen(&"\u{1f600}".repeat(128)).is_ok());
        assert_eq!(
            Password::chosen(&"\u{1f600}".repeat(14)).unwrap_err(),
            Unusable::TooShort
        );
        assert_eq!(Password::typed(&"x".repeat(129)).unwrap_err(), Unusable::TooLong);
        assert_eq!(Password::typed("").unwrap_err(), Unusable::Empty);
    }

    #[test]
    fn two_ways_to_type_one_letter_are_one_password() {
        let composed = Password::typed("caf\u{e9}").unwrap();
        let decomposed = Password::typed("cafe\u{301}").unwrap();
        assert_eq!(composed.as_bytes(), decomposed.as_bytes());
    }

    #[test]
    fn a_generated_password_can_be_chosen() {
        let password = Password::generate().unwrap();
        assert!(Password::chosen(password.reveal()).is_ok());
        assert_eq!(password.reveal().len(), 27);
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(
            format!("{:?}", Password::typed("canary").unwrap()),
            "Password(..)"
        );
    }
}
