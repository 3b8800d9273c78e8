//! Email addresses in a normal form.

use std::fmt;
use std::str::FromStr;

use icu_properties::CodePointMapData;
use icu_properties::props::EastAsianWidth;
use lettre::Address;
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

use crate::domain_name;
use crate::unseen;

/// An address in its normal form, by which it has one account and one lock: the part before the `@` in NFC
/// and lower case, in characters of usual width; the domain in ASCII (IDNA). The table requires as much of
/// this as PostgreSQL can check (`users_email_in_normal_form`, `users_email_spelling`).
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
pub enum NotAnEmail {
    /// It does not have the form of an address.
    #[error("email must be an address like name@example.org")]
    Shape,
    /// It is longer than mail servers take.
    #[error("email must have at most {LONGEST} bytes, and {LONGEST_LOCAL_PART} of them before the @")]
    TooLong,
    /// It is in `<` and `>`, as mail programs write it after a name.
    #[error("email must be only the address, like name@example.org, without a name or < and > around it")]
    InBrackets,
    /// The part after the `@` is no domain (IDNA 2008, RFC 5890).
    #[error(
        "email must have the name of a domain after the @, like example.org; no domain can be spelled like this one"
    )]
    Domain,
    /// It has a character that cannot be seen where it stands.
    #[error("email has a character that nobody sees (U+{:04X}); type the address anew", *.0 as u32)]
    Unseen(char),
}

impl FromStr for Email {
    type Err = NotAnEmail;

    /// Accepts every address that an account could have. Only a mail can show whether it exists.
    fn from_str(text: &str) -> Result<Self, NotAnEmail> {
        // Longer text cannot become a valid address; this bounds the work below.
        if text.len() > 4 * LONGEST {
            return Err(NotAnEmail::TooLong);
        }
        let text = in_usual_width(text.trim());
        if text.ends_with('>') && text.contains('<') {
            return Err(NotAnEmail::InBrackets);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(NotAnEmail::Shape)?;
        let local = folded(local);
        let is_blank = |c: char| c.is_whitespace() || c.is_control();
        if local.is_empty() || domain.is_empty() || local.contains(is_blank) || domain.contains(is_blank) {
            return Err(NotAnEmail::Shape);
        }
        let domain = in_ascii(domain).ok_or(NotAnEmail::Domain)?;
        let email = format!("{local}@{domain}");
        if email.len() > LONGEST || local.len() > LONGEST_LOCAL_PART {
            return Err(NotAnEmail::TooLong);
        }
        Ok(Self(email))
    }
}

/// The text with full-width and half-width characters, which East Asian keyboards write, in their usual width
/// (RFC 8265 3.3.1).
fn in_usual_width(text: &str) -> String {
    let widths = CodePointMapData::<EastAsianWidth>::new();
    let mut usual = String::with_capacity(text.len());
    for c in text.chars() {
        match widths.get(c) {
            // The compatible form of U+FFE3 has a space.
            EastAsianWidth::Fullwidth | EastAsianWidth::Halfwidth if c != '\u{ffe3}' => {
                usual.extend(std::iter::once(c).nfkc())
            }
            _ => usual.push(c),
        }
    }
    usual
}

/// The part before the `@` in NFC and lower case. Lower-casing can undo NFC, so NFC is applied again.
fn folded(local: &str) -> String {
    local.nfc().collect::<String>().to_lowercase().nfc().collect()
}

/// The domain in ASCII, or an address in brackets (RFC 5321 4.1.3).
fn in_ascii(domain: &str) -> Option<String> {
    match domain.strip_prefix('[') {
        Some(literal) => (literal.is_ascii() && literal.ends_with(']')).then(|| domain.to_ascii_lowercase()),
        None => domain_name::to_ascii(domain),
    }
}

impl Email {
    /// Parses the address of a new account. It must be one that mail servers accept, without invisible
    /// characters. Its domain must be a name, because no mail is sent to an IP address in brackets.
    ///
    /// # Errors
    /// When the text is no such address.
    pub fn of_new_account(text: &str) -> Result<Self, NotAnEmail> {
        let email: Self = text.parse()?;
        if let Some((_, unseen)) = unseen::of_text(&email.0).next() {
            return Err(NotAnEmail::Unseen(unseen));
        }
        if email.0.ends_with(']') {
            return Err(NotAnEmail::Domain);
        }
        match email.0.parse::<Address>() {
            Ok(_) => Ok(email),
            Err(_) => Err(NotAnEmail::Shape),
        }
    }

    /// The address of an account as it is stored. An older version may have written it in another spelling.
    pub fn stored(email: &str) -> Self {
        Self(email.to_owned())
    }

    /// Whether mail to it needs a mail server with SMTPUTF8 (RFC 6531). The domain alone never does.
    pub fn needs_smtp_utf8(&self) -> bool {
        !self.0.is_ascii()
    }

    /// The address in its normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text by which it is searched beside its normal form: the address as people read it, folded as the
    /// column `folded_email` is. `None` if no part of the domain is shown in another way than in ASCII.
    pub fn searched(&self) -> Option<String> {
        let has_other_letters = self
            .0
            .rsplit('@')
            .next()
            .is_some_and(|domain| domain.contains("xn--"));
        let readable = || {
            domain_name::readable_address(&self.0)
                .replace('ς', "σ")
                .replace('ſ', "s")
                .replace('ß', "ss")
        };
        has_other_letters.then(readable)
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

/// The address for people to read; [`Email::as_str`] is for programs.
impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&unseen::in_line(&domain_name::readable_address(&self.0)))
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
            assert!(text.parse::<Email>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_account_is_made_for_what_mail_servers_take() {
        for text in [
            " Ada@Example.org",
            "admin@localhost",
            "ren\u{e9}e@x.org",
            "a+b@x.org",
        ] {
            assert!(Email::of_new_account(text).is_ok(), "{text}");
        }
        for text in [
            "grace..hopper@x.org",
            ".grace@x.org",
            "<grace@x.org>",
            "grace@[192.0.2.1]",
            "grace@[IPv6:2001:db8::1]",
            "grace@x@y",
            "grace@x..org",
            "grace",
            "grace\u{202e}@x.org",
            "grace\u{200b}@x.org",
            "gra\u{ad}ce@x.org",
            "gra\u{200d}ce@x.org",
            "gra\u{3164}ce@x.org",
            "gra\u{2800}ce@x.org",
            "gra\u{e000}ce@x.org",
            "\u{301}grace@x.org",
            "grace@x\u{2066}.org",
            "grace@x.org\u{e0061}",
        ] {
            assert!(Email::of_new_account(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_spelling_is_its_own_spelling() {
        for text in ["\u{130}@x", "\u{1e9e}@x", "ΑΣ@x", "\u{212b}@x", "a@ΑΣ.gr", "ｶﾞ@x"] {
            let email: Email = text.parse().unwrap();
            assert_eq!(email.as_str().parse::<Email>().unwrap(), email);
        }
    }

    #[test]
    fn every_spelling_of_a_domain_is_one_address() {
        let spellings = [
            "max@münchen.de",
            "max@xn--mnchen-3ya.de",
            "MAX@MÜNCHEN.DE",
            "max@münchen.de.",
            "max@mu\u{308}nchen。de",
            "max@mün\u{ad}chen.de",
            "ｍａｘ＠ｍüｎｃｈｅｎ．ｄｅ",
        ];
        for spelling in spellings {
            assert_eq!(
                spelling.parse::<Email>().unwrap().as_str(),
                "max@xn--mnchen-3ya.de",
                "{spelling}"
            );
        }
        assert_eq!(
            domain_name::readable_address("max@xn--mnchen-3ya.de"),
            "max@münchen.de"
        );
        assert_eq!(
            domain_name::readable_address("max@xn--pple-43d.com"),
            "max@xn--pple-43d.com"
        );
        assert_eq!("max@xn--a.de".parse::<Email>(), Err(NotAnEmail::Domain));
        for pasted in ["<ada@example.org>", "Ada <ada@example.org>"] {
            assert_eq!(pasted.parse::<Email>(), Err(NotAnEmail::InBrackets));
        }
        let long = format!("{}@x.org", "a".repeat(65));
        assert_eq!(long.parse::<Email>(), Err(NotAnEmail::TooLong));
        assert_eq!(
            Email::of_new_account("ma\u{200b}x@x.org"),
            Err(NotAnEmail::Unseen('\u{200b}'))
        );
        assert!("王@x.org".parse::<Email>().unwrap().needs_smtp_utf8());
        assert!(!"max@münchen.de".parse::<Email>().unwrap().needs_smtp_utf8());
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
                prop_assert!(!local.is_empty() && !domain.is_empty() && domain.is_ascii());
                prop_assert!(!email.as_str().contains(|c: char| c.is_whitespace() || c.is_control()));
            }
        }

        #[test]
        fn spellings_that_differ_in_case_and_white_space_are_one_address(
            text in "[a-z\u{e9}\u{f6}\u{44f}0-9.+_-]{1,20}@[a-z\u{e9}\u{f6}0-9]{1,20}(\\.[a-z]{1,9})?",
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
