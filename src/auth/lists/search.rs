//! The search of a list: its words may be any part of the text that the rows show.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::plain::plain_letters;
use ipnetwork::{IpNetwork, Ipv4Network};

/// The most words of a search. Further ones belong to the last word.
const MOST_WORDS: usize = 8;

/// A word stands for a label that begins with it if it has at least this many letters.
const LABEL_BEGINS: usize = 3;

/// The search term of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// Everything.
    All,
    /// Rows with each of these words.
    For(Words),
}

/// Some words, separated by white space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(Vec<Word>);

/// One word, or several in a row that form a label, such as "not delivered".
pub(super) struct Part<'a, Label> {
    pub(super) words: &'a [Word],
    /// What the caller returned for the label, if the words form one.
    pub(super) label: Option<Label>,
}

/// One word: a part of a name, an email address, a device or a network address, or the beginning of a label
/// such as "Disabled".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The word, folded in the same way as the columns `folded_...`.
    folded: String,
    network: Option<Written>,
}

/// A network address or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Written {
    network: IpNetwork,
    /// The text as lists show it, if its last group may be incomplete: `2001:db8:a` also begins
    /// `2001:db8:abc::`.
    goes_on: Option<String>,
}

impl From<&str> for Search {
    fn from(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::All;
        }
        let mut words: Vec<&str> = text.split_whitespace().collect();
        if words.len() > MOST_WORDS {
            words = text
                .splitn(MOST_WORDS, char::is_whitespace)
                .map(str::trim)
                .collect();
            words.retain(|word| !word.is_empty());
        }
        Self::For(Words(words.into_iter().map(Word::from).collect()))
    }
}

impl Words {
    /// All words. Each must be found.
    pub(super) fn each(&self) -> &[Word] {
        &self.0
    }

    /// Splits the words into parts, each of which must be found: as a label, or each of its words alone.
    /// `label` returns `Some` for words that form a label.
    pub(super) fn parts<Label>(&self, label: impl Fn(&Word) -> Option<Label>) -> Vec<Part<'_, Label>> {
        let (mut parts, mut rest) = (Vec::new(), &self.0[..]);
        while !rest.is_empty() {
            let longest = (2..=rest.len()).rev();
            let found = longest
                .map(|count| (count, label(&Word::of_all(&rest[..count]))))
                .find(|(_, label)| label.is_some());
            let (count, label) = found.unwrap_or((1, None));
            let (words, others) = rest.split_at(count);
            parts.push(Part { words, label });
            rest = others;
        }
        parts
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        let folded = folded(text);
        Self {
            network: written(&folded),
            folded,
        }
    }
}

impl Word {
    /// Joins words into one, which is never a network.
    fn of_all(words: &[Self]) -> Self {
        let folded: Vec<&str> = words.iter().map(|word| word.folded.as_str()).collect();
        Self {
            folded: folded.join(" "),
            network: None,
        }
    }

    /// A pattern for folded text, with wildcards escaped.
    pub(super) fn pattern(&self) -> String {
        anywhere(&self.folded)
    }

    /// The network of the addresses that the word stands for, if it is an address, a network or the beginning
    /// of one.
    pub(super) fn network(&self) -> Option<IpNetwork> {
        self.network.as_ref().map(|written| written.network)
    }

    /// A pattern for the text of a device and an address. `None` if the word is a whole address or network:
    /// `192.0.2.1` must not find `192.0.2.10`.
    pub(super) fn origin_pattern(&self) -> Option<String> {
        match &self.network {
            None => Some(self.pattern()),
            Some(written) => written.goes_on.as_deref().map(anywhere),
        }
    }

    /// Whether the word stands for this label: it is all of it, or its beginning.
    pub(super) fn means(&self, label: &str) -> bool {
        let label = folded(label);
        label == self.folded
            || (self.folded.chars().count() >= LABEL_BEGINS && label.starts_with(&self.folded))
    }
}

fn anywhere(folded: &str) -> String {
    let escaped = folded
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    format!("%{escaped}%")
}

/// The text in the form of the columns `folded_...`. A text of marks alone is left as it is: without them it would be
/// empty, and find everybody.
fn folded(text: &str) -> String {
    let plain = plain_letters(text);
    if plain.is_empty() { text.to_owned() } else { plain }
}

/// Reads an address, a network, or the beginning of either, as people copy them: in brackets, with a port, or
/// IPv4 within IPv6.
fn written(text: &str) -> Option<Written> {
    let text = out_of_brackets(text);
    let whole = || text.parse().ok().map(canonical);
    if let Some(v4) = text.strip_prefix("::ffff:").filter(|v4| v4.contains('.')) {
        let written = whole().or_else(|| beginning_of_v4(v4));
        return written
            .or_else(|| beginning_of_v4(&format!("{v4}.")))
            .map(exactly);
    }
    beginning_of_v6(text).or_else(|| whole().or_else(|| beginning_of_v4(text)).map(exactly))
}

fn exactly(network: IpNetwork) -> Written {
    Written {
        network,
        goes_on: None,
    }
}

/// Removes brackets and a port: `[2001:db8::1]:443` becomes `2001:db8::1`.
fn out_of_brackets(text: &str) -> &str {
    let Some(inner) = text.strip_prefix('[') else {
        return text;
    };
    match inner.split_once(']') {
        None => inner,
        Some((address, rest)) if rest.is_empty() || rest.starts_with(':') => address,
        Some(_) => text,
    }
}

/// Turns IPv4 within IPv6 into plain IPv4, because sessions store it so.
fn canonical(network: IpNetwork) -> IpNetwork {
    let mapped = match network {
        IpNetwork::V6(v6) => v6.ip().to_ipv4_mapped().zip(v6.prefix().checked_sub(96)),
        IpNetwork::V4(_) => None,
    };
    mapped
        .and_then(|(address, bits)| Ipv4Network::new(address, bits).ok())
        .map_or(network, IpNetwork::V4)
}

/// Reads the beginning of an IPv4 address: `203.0.113.` is 203.0.113.0/24.
fn beginning_of_v4(text: &str) -> Option<IpNetwork> {
    let groups: Vec<u8> = text
        .strip_suffix('.')?
        .split('.')
        .map(|group| group.parse().ok())
        .collect::<Option<_>>()?;
    let mut octets = [0; 4];
    octets
        .get_mut(..groups.len())
        .filter(|_| groups.len() < 4)?
        .copy_from_slice(&groups);
    let bits = u8::try_from(8 * groups.len()).ok()?;
    IpNetwork::new(IpAddr::V4(Ipv4Addr::from(octets)), bits).ok()
}

/// Reads the beginning of an IPv6 address: `2001:db8:` and `2001:db8::` are 2001:db8::/32. So is `2001:db8`,
/// whose last group may be incomplete.
fn beginning_of_v6(text: &str) -> Option<Written> {
    let (groups, is_closed) = match text.strip_suffix(':') {
        Some(open) => (open.strip_suffix(':').unwrap_or(open), true),
        None => (text, false),
    };
    let is_group = |group: &str| group.len() <= 4 && group.chars().all(|digit| digit.is_ascii_hexdigit());
    let groups: Vec<u16> = groups
        .split(':')
        .map(|group| u16::from_str_radix(group, 16).ok().filter(|_| is_group(group)))
        .collect::<Option<_>>()?;
    let mut segments = [0; 8];
    segments
        .get_mut(..groups.len())
        .filter(|_| groups.len() < 8)?
        .copy_from_slice(&groups);
    if groups.len() < 2 && !is_closed {
        return None;
    }
    let bits = u8::try_from(16 * groups.len()).ok()?;
    let network = IpNetwork::new(IpAddr::V6(Ipv6Addr::from(segments)), bits).ok()?;
    let shown: Vec<String> = groups.iter().map(|group| format!("{group:x}")).collect();
    Some(Written {
        network,
        goes_on: (!is_closed).then(|| shown.join(":")),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> Option<String> {
        Word::from(text).network().map(|network| network.to_string())
    }

    #[test]
    fn addresses_and_their_beginnings_are_networks() {
        for (text, right) in [
            ("203.0.113.9", "203.0.113.9/32"),
            ("203.0.113.0/24", "203.0.113.0/24"),
            ("203.0.113.", "203.0.113.0/24"),
            ("10.", "10.0.0.0/8"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("2001:db8::7", "2001:db8::7/128"),
            ("2001:DB8:", "2001:db8::/32"),
            ("2001:db8::", "2001:db8::/32"),
            ("2001:0db8", "2001:db8::/32"),
            ("fe80:", "fe80::/16"),
            ("[2001:db8::7]", "2001:db8::7/128"),
            ("[2001:db8::7]:443", "2001:db8::7/128"),
            ("[2001:db8:", "2001:db8::/32"),
            ("::ffff:192.168.1.20", "192.168.1.20/32"),
            ("::FFFF:192.168.", "192.168.0.0/16"),
            ("::ffff:192.168", "192.168.0.0/16"),
            ("::ffff:c0a8:114", "192.168.1.20/32"),
            ("[::ffff:192.168.1.20]:8080", "192.168.1.20/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ] {
            assert_eq!(network(text).as_deref(), Some(right), "{text}");
        }
        for text in [
            "ada",
            "10",
            "192.168",
            "a.",
            "300.",
            "1.2.3.4.",
            "::ffff:x.",
            "ada@example.org",
            "[ada]",
            "12345:",
            "1:2:3:4:5:6:7:8:9",
        ] {
            assert_eq!(network(text), None, "{text}");
        }
    }

    #[test]
    fn a_whole_address_is_no_part_of_another_and_a_part_is() {
        let origin = |text: &str| Word::from(text).origin_pattern();
        assert_eq!(origin("192.168.1.2"), None);
        assert_eq!(origin("192.168.").as_deref(), None);
        assert_eq!(origin("192.168").as_deref(), Some("%192.168%"));
        assert_eq!(origin("2001:0db8:A").as_deref(), Some("%2001:db8:a%"));
        assert_eq!(origin("Firefox").as_deref(), Some("%firefox%"));
    }

    #[test]
    fn a_label_is_meant_by_its_beginning_and_no_other_part() {
        for (text, label, right) in [
            ("disabled", "Disabled", true),
            ("Dis", "Disabled", true),
            ("di", "Disabled", false),
            ("ed", "Signed in", false),
            ("signed in", "Signed in", true),
        ] {
            assert_eq!(Word::from(text).means(label), right, "{text} {label}");
        }
    }

    #[test]
    fn words_are_split_and_not_without_end() {
        assert_eq!(Search::from(" \u{3000} "), Search::All);
        let Search::For(few) = Search::from(" Ada\t Lovelace ") else {
            panic!("it looks for nothing");
        };
        let patterns: Vec<String> = few.each().iter().map(Word::pattern).collect();
        assert_eq!(patterns, ["%ada%", "%lovelace%"]);
        let Search::For(many) = Search::from("a ".repeat(500).as_str()) else {
            panic!("it looks for nothing");
        };
        assert_eq!(many.each().len(), MOST_WORDS);
    }

    #[test]
    fn marks_alone_do_not_find_everybody() {
        for text in ["\u{301}", "\u{308}\u{301}"] {
            assert_eq!(Word::from(text).pattern(), format!("%{text}%"));
        }
        assert_eq!(Word::from("O\u{308}berg").pattern(), "%oberg%");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn whatever_is_searched_for_is_never_a_pattern(text in prop_oneof![any::<String>(), "[%_\\\\a.0-9:/\\[\\]]{0,20}"]) {
            let _ = Search::from(text.as_str());
            let word = Word::from(text.as_str());
            let pattern = word.pattern();
            // Without the outer `%` and the escapes, the pattern is the text.
            let inner = pattern.strip_prefix('%').and_then(|inner| inner.strip_suffix('%')).unwrap();
            let mut plain = String::new();
            let mut letters = inner.chars();
            while let Some(letter) = letters.next() {
                prop_assert!(letter != '%' && letter != '_');
                plain.extend(if letter == '\\' { letters.next() } else { Some(letter) });
            }
            prop_assert_eq!(plain, word.folded);
        }

        #[test]
        fn every_address_is_found_by_each_of_its_beginnings(address: u128) {
            let address = Ipv6Addr::from(address);
            prop_assume!(address.to_ipv4_mapped().is_none());
            let groups = address.segments().map(|group| format!("{group:x}"));
            for count in 1..8 {
                let network = Word::from(format!("{}:", groups[..count].join(":")).as_str()).network();
                prop_assert!(network.unwrap().contains(IpAddr::V6(address)));
            }
        }
    }
}
