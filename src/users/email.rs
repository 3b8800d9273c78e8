//! Email addresses in a normal form.

use std::fmt;
use std::str::FromStr;

use lettre::Address;
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

use crate::unseen::{is_mark, is_unseen};

/// An address, trimmed, in NFC and lower case: one spelling for one account and one lock. The table requires
/// it (`users_email_in_normal_form`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Email(String);

#[diesel::declare_sql_function]
extern "SQL" {
    /// [`Email::digest`], computed by PostgreSQL.
    fn email_digest(email: diesel::sql_types::Text) -> diesel::sql_types::Binary;
}

/// Longest address, in bytes (RFC 5321 4.5.3.1.3, less the angle brackets).
const LONGEST: usize = 254;
/// Longest part before the last `@`, in bytes (RFC 5321 4.5.3.1.1).
const LONGEST_LOCAL_PART: usize = 64;

/// The text cannot be an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("email must be an address like name@example.org, of at most {LONGEST} bytes")]
pub struct NotAnEmail;

impl FromStr for Email {
    type Err = NotAnEmail;

    /// Accepts every address that an account could have. Only a mail can show whether it exists.
    fn from_str(text: &str) -> Result<Self, NotAnEmail> {
        // Longer text cannot become a valid address; this bounds the work below.
        if text.len() > 4 * LONGEST {
            return Err(NotAnEmail);
        }
        // Lower-casing can undo NFC, so NFC is applied again.
        let folded: String = text
            .trim()
            .nfc()
            .collect::<String>()
            .to_lowercase()
            .nfc()
            .collect();
        let (local, domain) = folded.rsplit_once('@').ok_or(NotAnEmail)?;
        let is_plain = !folded.contains(|c: char| c.is_whitespace() || c.is_control());
        let fits = folded.len() <= LONGEST && local.len() <= LONGEST_LOCAL_PART;
        if is_plain && fits && !local.is_empty() && !domain.is_empty() {
            Ok(Self(folded))
        } else {
            Err(NotAnEmail)
        }
    }
}

impl Email {
    /// Parses the address of a new account. Mail servers must accept it, too, and it must have no invisible
    /// characters.
    ///
    /// # Errors
    /// When the text is no such address.
    pub fn of_new_account(text: &str) -> Result<Self, NotAnEmail> {
        let email: Self = text.parse()?;
        let is_seen = !email.0.contains(|c| is_unseen(c) || is_mark(c));
        match email.0.parse::<Address>() {
            Ok(_) if is_seen => Ok(email),
            Ok(_) | Err(_) => Err(NotAnEmail),
        }
    }

    /// The address in its normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the normal form: it identifies the address where failures are counted and mails wait.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }

    /// See [`short_digest`].
    pub fn short_digest(&self) -> String {
        short_digest(&self.digest())
    }
}

/// The first 12 hex characters of an address's digest: enough to tell addresses apart in a log.
pub fn short_digest(digest: &[u8]) -> String {
    let mut hex = hex::encode(digest);
    hex.truncate(12);
    hex
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_white_space_and_composition_do_not_matter() {
        let spellings = ["ren\u{e9}e@x.org", " REN\u{c9}E@X.ORG\n", "rene\u{301}e@x.org"];
        let emails = spellings.map(|text| text.parse::<Email>().unwrap());
        assert!(emails.iter().all(|email| *email == emails[0]));
    }

    #[test]
    fn a_local_host_is_an_address_too() {
        assert_eq!(
            "admin@localhost".parse::<Email>().unwrap().as_str(),
            "admin@localhost"
        );
    }

    #[test]
    fn what_cannot_be_an_address_is_refused() {
        let long = format!("{}@x.org", "a".repeat(65));
        let longer = format!("a@{}", "x".repeat(10_000));
        for text in [
            "", "@", "ada", "ada@", "@x", "a b@x", "a\0@x", "a@x\ny", &long, &longer,
        ] {
            assert_eq!(text.parse::<Email>(), Err(NotAnEmail), "{text:?}");
        }
    }

    #[test]
    fn an_account_is_made_for_what_mail_servers_take() {
        for text in [
            " Ada@Example.org",
            "admin@localhost",
            "ren\u{e9}e@x.org",
            "a+b@[192.0.2.1]",
        ] {
            assert!(Email::of_new_account(text).is_ok(), "{text}");
        }
        for text in [
            "grace..hopper@x.org",
            ".grace@x.org",
            "<grace@x.org>",
            "grace@x@y",
            "grace@x..org",
            "grace",
            "grace\u{202e}@x.org",
            "grace\u{200b}@x.org",
            "gra\u{ad}ce@x.org",
            "gra\u{200d}ce@x.org",
            "grace@x\u{2066}.org",
            "grace@x\u{feff}.org",
            "grace@x.org\u{e0061}",
        ] {
            assert_eq!(Email::of_new_account(text), Err(NotAnEmail), "{text}");
        }
    }

    #[test]
    fn a_spelling_is_its_own_spelling() {
        for text in ["\u{130}@x", "\u{1e9e}@x", "ΑΣ@x", "\u{212b}@x"] {
            let email: Email = text.parse().unwrap();
            assert_eq!(email.as_str().parse::<Email>().unwrap(), email);
        }
    }

    fn nearly_an_address() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "\\s{0,3}\\PC{0,40}@\\PC{0,40}\\s{0,3}",
            "\\p{Lu}{1,20}\\p{M}{0,3}@\\p{L}{1,20}"
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn whatever_is_accepted_is_its_own_spelling_and_within_the_bounds(text in nearly_an_address()) {
            if let Ok(email) = text.parse::<Email>() {
                prop_assert_eq!(email.as_str().parse(), Ok(email.clone()));
                let (local, domain) = email.as_str().rsplit_once('@').unwrap();
                prop_assert!(email.as_str().len() <= LONGEST && local.len() <= LONGEST_LOCAL_PART);
                prop_assert!(!local.is_empty() && !domain.is_empty());
                prop_assert!(!email.as_str().contains(|c: char| c.is_whitespace() || c.is_control()));
            }
        }

        #[test]
        fn spellings_that_differ_in_case_and_white_space_are_one_address(
            text in "[a-z\u{e9}\u{f6}\u{44f}0-9.+_-]{1,20}@[a-z0-9.-]{1,30}",
            before in "[ \t\r\n]{0,3}",
            after in "[ \t\r\n]{0,3}",
        ) {
            let email: Email = text.parse().unwrap();
            prop_assert_eq!(format!("{before}{}{after}", text.to_uppercase()).parse(), Ok(email.clone()));
            let apart: String = text.nfd().collect();
            prop_assert_eq!(apart.parse(), Ok(email.clone()));
            prop_assert_eq!(email.digest(), apart.to_uppercase().parse::<Email>().unwrap().digest());
        }
    }
}
