//! Passwords that are typed, and passwords that are set.

use std::fmt;

use rand::TryRng;
use rand::rngs::SysRng;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::strength;

/// The most code points in a new password. Longer input is refused before any hashing.
const LONGEST: usize = 128;
/// The most code points in a password that is typed. Other systems, whose users were imported, allow more
/// than we do.
pub const LONGEST_TYPED: usize = 1_024;
/// The fewest code points in a new password, which is the only factor (NIST SP 800-63B-4, 3.1.1.2).
const SHORTEST: usize = 15;

/// A password in clear, in NFC (NIST SP 800-63B-4, 3.1.1.2). It is kept until it is hashed, and wiped when
/// dropped.
#[derive(Clone)]
pub struct Password {
    normal: Zeroizing<String>,
    /// The password as it was typed, if that is not NFC: other systems hashed it in that form.
    typed: Option<Zeroizing<String>>,
}

/// A new password of the right length, whose strength has not been judged yet.
#[derive(Clone, Debug)]
pub struct Proposed(Password);

/// Why a text cannot be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The text is empty.
    #[error("password must not be empty")]
    Empty,
    /// The text is too long.
    #[error("password must not be longer than {LONGEST} characters")]
    TooLong,
    /// The text is too long for any password.
    #[error("password must not be longer than {LONGEST_TYPED} characters")]
    FarTooLong,
    /// The text is too short for a new password.
    #[error("password must have at least {SHORTEST} characters")]
    TooShort,
    /// The text is too likely for a new password: an attacker would soon try it.
    #[error("password is too easy to guess: {0}")]
    Guessable(String),
    /// The text is the user's present password.
    #[error("password must be another one than the present one")]
    Present,
}

impl Password {
    /// Accepts a password typed to sign in: any that could ever have been set, here or elsewhere.
    ///
    /// # Errors
    /// [`Unusable::Empty`], [`Unusable::FarTooLong`].
    pub fn typed(text: &str) -> Result<Self, Unusable> {
        if text.is_empty() {
            return Err(Unusable::Empty);
        }
        // This bounds the work of NFC, which makes at most four code points into one.
        if text.chars().take(4 * LONGEST_TYPED + 1).count() > 4 * LONGEST_TYPED {
            return Err(Unusable::FarTooLong);
        }
        let normal: Zeroizing<String> = Zeroizing::new(text.nfc().collect());
        if normal.chars().count() > LONGEST_TYPED {
            return Err(Unusable::FarTooLong);
        }
        let typed = (*normal != text).then(|| Zeroizing::new(text.to_owned()));
        Ok(Self { normal, typed })
    }

    /// Judges a chosen password on this thread. There are no rules of composition, but likely passwords are
    /// refused (OWASP ASVS 6.2.4, 6.2.11). This takes milliseconds of processor time: a server, where others
    /// wait for the thread, uses [`super::Hasher::hash_proposed`].
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn chosen(text: &str, about: &[&str]) -> Result<Self, Unusable> {
        Proposed::new(text)?.judged(about)
    }

    /// Generates a random password that people can read aloud: 24 characters of 5 bits each, in groups.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> Result<Self, rand::rngs::SysError> {
        // Crockford's base 32: no i, l, o, u.
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut bytes = [0; 24];
        SysRng.try_fill_bytes(&mut bytes)?;
        let mut text = Zeroizing::new(String::with_capacity(30));
        for (at, byte) in bytes.iter().enumerate() {
            if at > 0 && at % 6 == 0 {
                text.push('-');
            }
            text.push(char::from(ALPHABET[usize::from(byte % 32)]));
        }
        Ok(Self {
            normal: text,
            typed: None,
        })
    }

    /// The password in clear, to show a generated one or to hash one.
    pub fn reveal(&self) -> &str {
        &self.normal
    }

    /// The password as it was typed.
    pub(super) fn as_typed(&self) -> &str {
        self.typed.as_ref().map_or(&self.normal, |typed| typed)
    }

    /// The bytes to hash.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.normal.as_bytes()
    }

    /// Whether a user described by `about` could choose this password today. Takes milliseconds.
    pub(super) fn meets_rules(&self, about: &[&str]) -> bool {
        let proposed = Proposed::of(self.clone());
        proposed.is_ok_and(|proposed| proposed.judged(about).is_ok())
    }
}

impl Proposed {
    /// Accepts a proposed password by its length alone, which costs nothing to check.
    ///
    /// # Errors
    /// [`Unusable::Empty`], [`Unusable::TooLong`], [`Unusable::TooShort`].
    pub fn new(text: &str) -> Result<Self, Unusable> {
        Self::of(Password::typed(text).map_err(|error| match error {
            Unusable::FarTooLong => Unusable::TooLong,
            error => error,
        })?)
    }

    /// Refuses the present password, however it was typed.
    ///
    /// # Errors
    /// [`Unusable::Present`].
    pub fn differs_from(&self, present: &Password) -> Result<(), Unusable> {
        match self.0.normal == present.normal {
            true => Err(Unusable::Present),
            false => Ok(()),
        }
    }

    fn of(password: Password) -> Result<Self, Unusable> {
        match password.normal.chars().count() {
            ..SHORTEST => Err(Unusable::TooShort),
            SHORTEST..=LONGEST => Ok(Self(password)),
            _ => Err(Unusable::TooLong),
        }
    }

    /// Refuses a likely password (OWASP ASVS 6.2.4, 6.2.11). There are no rules of composition. `about`
    /// describes its owner: name and address.
    ///
    /// # Errors
    /// [`Unusable::Guessable`].
    pub(super) fn judged(self, about: &[&str]) -> Result<Password, Unusable> {
        strength::judge(&self.0.normal, about)?;
        Ok(self.0)
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

    fn chosen(text: &str) -> Result<Password, Unusable> {
        Password::chosen(text, &["Ada Lovelace", "ada.lovelace@analytical.example"])
    }

    #[test]
    fn length_is_counted_in_code_points() {
        let emoji: String = (0..128)
            .map(|n| char::from_u32(0x1f600 + n * 7 % 80).unwrap())
            .collect();
        let first = |count| emoji.chars().take(count).collect::<String>();
        assert!(chosen(&first(15)).is_ok());
        assert!(chosen(&first(128)).is_ok());
        assert_eq!(chosen(&first(14)).unwrap_err(), Unusable::TooShort);
        assert_eq!(Proposed::new(&"x".repeat(129)).unwrap_err(), Unusable::TooLong);
        assert!(Password::typed(&first(1).repeat(1_024)).is_ok());
        assert_eq!(
            Password::typed(&"x".repeat(1_025)).unwrap_err(),
            Unusable::FarTooLong
        );
        assert_eq!(Password::typed("").unwrap_err(), Unusable::Empty);
    }

    #[test]
    fn what_is_tried_first_is_refused_with_the_reason() {
        for guessable in [
            "aaaaaaaaaaaaaaaaaaaa",
            "passwordpassword1",
            "qwertyuiopasdfghjkl",
            "Ada Lovelace oneseat",
            "ada.lovelace@analytical.example",
            "oneseatoneseatoneseat",
            "abcdefghijklmnopqrstuvwxyz",
        ] {
            let Err(reason) = chosen(guessable) else {
                panic!("{guessable} is accepted");
            };
            assert!(
                matches!(&reason, Unusable::Guessable(why) if !why.is_empty()),
                "{guessable}: {reason}"
            );
            assert!(!reason.to_string().contains(guessable), "it repeats the password");
        }
        for fine in [
            "correct-horse staple lantern ocean",
            "another long password",
            "ich mag keine Regeln",
            "tea at four with Ada Lovelace",
        ] {
            assert!(chosen(fine).is_ok(), "{fine}: {:?}", chosen(fine).unwrap_err());
        }
    }

    #[test]
    fn two_ways_to_type_one_letter_are_one_password() {
        let composed = Password::typed("caf\u{e9}").unwrap();
        let decomposed = Password::typed("cafe\u{301}").unwrap();
        assert_eq!(composed.as_bytes(), decomposed.as_bytes());
    }

    #[test]
    fn the_present_password_is_no_new_one_however_it_is_typed() {
        let text = "nine gr\u{fc}ne Flaschen an der Wand";
        let apart: String = text.nfd().collect();
        for (new, present) in [(text, text), (text, &apart), (&apart, text), (&apart, &apart)] {
            let present = Password::typed(present).unwrap();
            let refused = Proposed::new(new).unwrap().differs_from(&present);
            assert_eq!(refused, Err(Unusable::Present), "{new:?}");
        }
        let other = Password::typed("another long password").unwrap();
        assert_eq!(Proposed::new(text).unwrap().differs_from(&other), Ok(()));
    }

    #[test]
    fn a_generated_password_can_be_chosen() {
        let password = Password::generate().unwrap();
        assert!(chosen(password.reveal()).is_ok());
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
