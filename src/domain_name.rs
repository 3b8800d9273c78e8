//! The two spellings of a domain name (IDNA 2008 by UTS 46): ASCII for programs, and one that people read.

use std::borrow::Cow;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_security::confusable_detection::skeleton;
use unicode_security::restriction_level::{RestrictionLevel, RestrictionLevelDetection};

const UTS46: Uts46 = Uts46::new();

/// The spelling in which names are compared, stored and sent: ASCII, lower case, without the dot of the root. `None`
/// if the name is not valid, by IDNA or by the lengths of DNS.
pub(crate) fn to_ascii(name: &str) -> Option<String> {
    let ascii = UTS46
        .to_ascii(
            name.as_bytes(),
            AsciiDenyList::URL,
            Hyphens::CheckFirstLast,
            DnsLength::VerifyAllowRootDot,
        )
        .ok()?;
    let ascii = ascii.strip_suffix('.').unwrap_or(&ascii);
    (!ascii.is_empty()).then(|| ascii.to_owned())
}

/// The spelling for people. A label that looks like another one stays in ASCII.
pub(crate) fn readable(ascii: &str) -> Cow<'_, str> {
    let is_safe = |label: &[char], _: &[char], _| is_unmistakable(&label.iter().collect::<String>());
    match UTS46.to_user_interface(ascii.as_bytes(), AsciiDenyList::URL, Hyphens::Allow, is_safe) {
        (readable, Ok(())) => readable,
        (_, Err(_)) => Cow::Borrowed(ascii),
    }
}

/// The address with its domain as people read it.
pub(crate) fn readable_address(email: &str) -> Cow<'_, str> {
    let Some((local, domain)) = email.rsplit_once('@') else {
        return Cow::Borrowed(email);
    };
    match readable(domain) {
        Cow::Borrowed(_) => Cow::Borrowed(email),
        Cow::Owned(domain) => Cow::Owned(format!("{local}@{domain}")),
    }
}

/// Whether the scripts of the label are written together, and the label does not look like ASCII (UTS 39 4, 5.2).
fn is_unmistakable(label: &str) -> bool {
    label.detect_restriction_level() <= RestrictionLevel::HighlyRestrictive
        && !skeleton(label).all(|c| c.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_name_is_one_in_ascii() {
        for spelling in [
            "münchen.de",
            "MÜNCHEN.DE",
            "mu\u{308}nchen.de",
            "münchen.de.",
            "münchen。de",
            "ｍüｎｃｈｅｎ.ｄｅ",
            "xn--mnchen-3ya.de",
            "XN--MNCHEN-3YA.DE",
        ] {
            assert_eq!(
                to_ascii(spelling).as_deref(),
                Some("xn--mnchen-3ya.de"),
                "{spelling}"
            );
        }
        // IDNA 2008, and with it every browser, tells ß from ss.
        assert_eq!(to_ascii("straße.de").as_deref(), Some("xn--strae-oqa.de"));
    }

    #[test]
    fn what_idna_or_dns_refuses_is_no_name() {
        let long = format!("{}.de", "ü".repeat(63));
        for name in [
            "",
            ".",
            "a..b",
            "-a.de",
            "a-.de",
            "xn--a.de",
            "xn--zzzzzz9999.de",
            "a b.de",
            "\u{301}a.de",
            "a\u{202e}b.de",
            "אa.com",
            &long,
        ] {
            assert_eq!(to_ascii(name), None, "{name:?}");
        }
    }

    #[test]
    fn people_read_letters_unless_they_look_like_others() {
        for name in [
            "münchen.de",
            "例え.jp",
            "пример.рф",
            "παράδειγμα.gr",
            "דוגמה.com",
            "example.org",
        ] {
            assert_eq!(readable(&to_ascii(name).unwrap()), name);
        }
        for name in ["аpple.com", "аррӏе.com", "ɡoogle.com"] {
            let ascii = to_ascii(name).unwrap();
            assert!(ascii.starts_with("xn--"), "{ascii}");
            assert_eq!(readable(&ascii), ascii);
        }
        for odd in ["xn--a.de", "[192.0.2.1]", "a b"] {
            assert_eq!(readable(odd), odd);
        }
    }
}
