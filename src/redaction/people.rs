//! Recipients of messages, as another program may name them in prose.

use super::secrets::{SHORTEST_NAME, comparable, mark};
use super::{LEFT_OUT, Secrets, on_one_line};

/// The fewest letters and digits of a name that is compared with whole words. Shorter ones are words in too
/// many languages.
const SHORTEST_WORD: usize = 3;

/// Stands for the recipient's address while a line is cleaned. A character for private use, so no words of
/// another program hold it by then.
const RECIPIENT: char = '\u{f8ff}';

/// An address and what is told in its place.
#[derive(Clone)]
pub(super) struct Recipient {
    /// In their compared form.
    forms: Vec<Vec<char>>,
    label: String,
}

impl Secrets {
    /// These secrets and a recipient's address, in whose place the label is told; with its name before the
    /// `@` and before a `+`; also as in `ada at example dot org`.
    #[must_use]
    pub fn and_recipient(mut self, address: &str, label: &str) -> Self {
        let Some((local, domain)) = address.rsplit_once('@') else {
            return self.and_name(address);
        };
        let spellings = [
            address.to_owned(),
            format!("{local} at {domain}"),
            format!("{local} at {}", domain.replace('.', " dot ")),
        ];
        self.recipient = Some(Recipient {
            forms: spellings
                .iter()
                .map(|spelling| comparable(&on_one_line(spelling)))
                .filter(|form| form.len() >= SHORTEST_NAME)
                .collect(),
            label: label.to_owned(),
        });
        let name = local.split('+').next().unwrap_or(local);
        self.and_name(address).and_word(local).and_word(name)
    }

    /// The line with [`RECIPIENT`] in place of the recipient's address.
    pub(super) fn with_recipient_marked(&self, line: &str) -> String {
        let Some(Recipient { forms, .. }) = &self.recipient else {
            return line.to_owned();
        };
        let chars: Vec<char> = line.chars().collect();
        let mut is_address = vec![false; chars.len()];
        let letters = chars.iter().copied().enumerate();
        let letters = letters
            .filter(|(_, c)| c.is_alphanumeric())
            .flat_map(|(place, c)| c.to_lowercase().map(move |c| (place, c)));
        mark(forms, letters, &mut is_address);
        let mut left = String::new();
        for (place, c) in chars.into_iter().enumerate() {
            if !is_address[place] {
                left.push(c);
            } else if place == 0 || !is_address[place - 1] {
                left.push(RECIPIENT);
            }
        }
        left
    }

    /// The line with the recipient's label.
    pub(super) fn with_recipient_told(&self, line: String) -> String {
        match &self.recipient {
            Some(Recipient { label, .. }) => line.replace(RECIPIENT, label),
            None => line,
        }
    }

    /// These secrets and a name. A long name is found anywhere, a short one as a whole word.
    fn and_word(mut self, name: &str) -> Self {
        let word = comparable(&on_one_line(name));
        if word.len() >= SHORTEST_WORD && !self.words.contains(&word) {
            self.words.push(word);
        }
        self.and_name(name)
    }

    /// The line with a mark in place of each word.
    pub(super) fn without_words(&self, line: &str) -> String {
        let chars: Vec<char> = line.chars().collect();
        let is_letter = |place: usize| chars.get(place).is_some_and(|c| c.is_alphanumeric());
        let (places, folded): (Vec<usize>, Vec<char>) = chars
            .iter()
            .enumerate()
            .filter(|(_, c)| c.is_alphanumeric())
            .flat_map(|(place, c)| c.to_lowercase().map(move |c| (place, c)))
            .unzip();
        let mut is_name = vec![false; chars.len()];
        for word in &self.words {
            for (start, window) in folded.windows(word.len()).enumerate() {
                let (first, last) = (places[start], places[start + word.len() - 1]);
                let begins = first.checked_sub(1).is_none_or(|before| !is_letter(before));
                if window == word && begins && !is_letter(last + 1) {
                    is_name[first..=last].fill(true);
                }
            }
        }
        let mut left = String::new();
        for (place, c) in chars.into_iter().enumerate() {
            if !is_name[place] {
                left.push(c);
            } else if place == 0 || !is_name[place - 1] {
                left.push_str(LEFT_OUT);
            }
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_left_out_of_prose() {
        for (address, said, left) in [
            (
                "victim11@example.org",
                "550 5.7.1 user victim11 unknown in domain example.org",
                "550 5.7.1 user [...] unknown in domain example.org",
            ),
            (
                "victim10@example.org",
                "550 no Victim10 at example dot org",
                "550 no [address]",
            ),
            ("victim10@example.org", "550 <vic= tim10>: no", "550 <[...]>: no"),
            (
                "al@example.org",
                "no al at example dot org here",
                "no [address] here",
            ),
            ("al@example.org", "no al at example.org here", "no [address] here"),
            (
                "al@example.org",
                "550 5.1.1 <AL@example.org>: no \u{f8ff}",
                "550 5.1.1 <[address]>: no",
            ),
            (
                "al@example.org",
                "550 al is unknown at all",
                "550 al is unknown at all",
            ),
            (
                "ada@example.org",
                "550 unavailable: Ada's mailbox, adapter",
                "550 unavailable: [...]'s mailbox, adapter",
            ),
            (
                "ada+seat@example.org",
                "550 user ada unknown",
                "550 user [...] unknown",
            ),
            (
                "o.brien@example.org",
                "550 user O Brien unknown",
                "550 user [...] unknown",
            ),
            // At the beginning of a line, too.
            ("al@example.org", "al at example dot org: no", "[address]: no"),
            ("ada@example.org", "Ada unknown", "[...] unknown"),
            // A part of another word.
            (
                "ada@example.org",
                "550 Canada unavailable",
                "550 Canada unavailable",
            ),
            ("ab@cd.io", "550 <ab@cd.io>: no", "550 <[address]>: no"),
            (
                "ünal@example.org",
                "550 user Ünal (unal?) unknown",
                "550 user [...] (unal?) unknown",
            ),
        ] {
            assert_eq!(
                Secrets::default()
                    .and_recipient(address, "[address]")
                    .cleaned(said),
                left,
                "{address}"
            );
        }
    }
}
