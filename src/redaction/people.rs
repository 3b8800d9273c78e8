//! Recipients of messages, as another program may name them in prose.

use super::secrets::comparable;
use super::{LEFT_OUT, Secrets, on_one_line};

/// The fewest letters and digits of a name that is compared with whole words. Shorter ones are words in too
/// many languages.
const SHORTEST_WORD: usize = 3;

impl Secrets {
    /// These secrets and an address, with its name before the `@` and before a `+`; also as in
    /// `ada at example dot org`.
    #[must_use]
    pub fn and_address(self, address: &str) -> Self {
        let Some((local, domain)) = address.rsplit_once('@') else {
            return self.and_name(address);
        };
        let name = local.split('+').next().unwrap_or(local);
        self.and_name(address)
            .and_name(&format!("{local} at {domain}"))
            .and_name(&format!("{local} at {}", domain.replace('.', " dot ")))
            .and_word(local)
            .and_word(name)
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
    fn whom_a_mail_is_for_is_left_out_of_prose() {
        for (address, said, left) in [
            (
                "victim11@example.org",
                "550 5.7.1 user victim11 unknown in domain example.org",
                "550 5.7.1 user [...] unknown in domain example.org",
            ),
            (
                "victim10@example.org",
                "550 no Victim10 at example dot org",
                "550 no [...]",
            ),
            ("victim10@example.org", "550 <vic= tim10>: no", "550 <[...]>: no"),
            ("al@example.org", "no al at example dot org here", "no [...] here"),
            ("al@example.org", "no al at example.org here", "no [...] here"),
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
            (
                "ünal@example.org",
                "550 user Ünal (unal?) unknown",
                "550 user [...] (unal?) unknown",
            ),
        ] {
            assert_eq!(
                Secrets::default().and_address(address).cleaned(said),
                left,
                "{address}"
            );
        }
    }
}
