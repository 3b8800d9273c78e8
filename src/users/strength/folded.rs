//! Folds a password for comparison: an attacker tries likely passwords in every spelling.
//!
//! `Password-pässword`, `pass word pass word` and `passwordpassword` in full-width letters are all one
//! password, written twice. The estimator takes each for several parts in an order that is hard to guess.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The fewest characters in a row that count as a copy of earlier ones.
const SHORTEST_COPY: usize = 4;

/// The fewest repetitions of a letter, after the first one, that count as copies. No word has so many.
const SHORTEST_RUN: usize = 2;

/// The most letters and digits that are kept: when folded, one character may become many.
const LONGEST: usize = 512;

/// A text in lower case, in plain letters and digits.
#[derive(Debug)]
pub(super) struct Folded {
    /// Letters and digits, without accents.
    pub text: String,
    /// The removed characters: spaces, signs, accents, emoji.
    signs: Vec<char>,
}

/// How to read signs that look like letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signs {
    /// Read them as signs.
    Signs,
    /// Read them as letters: `@` as a, `$` as s.
    Letters,
}

impl Folded {
    pub(super) fn of(text: &str, signs: Signs) -> Self {
        let (mut letters, mut taken_out) = (String::new(), Vec::new());
        for c in text.nfkd() {
            match c {
                '@' if signs == Signs::Letters => letters.push('a'),
                '$' if signs == Signs::Letters => letters.push('s'),
                // Upper case first: some small letters share a capital.
                c if c.is_alphanumeric() && !is_combining_mark(c) => {
                    letters.extend(c.to_uppercase().flat_map(char::to_lowercase));
                }
                c => taken_out.push(c),
            }
        }
        Self {
            // NFC makes Korean syllables one letter again.
            text: letters.nfc().take(LONGEST).collect(),
            signs: taken_out,
        }
    }

    /// The number of signs outside ASCII. A password may consist of these alone.
    pub(super) fn foreign_signs(&self) -> usize {
        self.signs.iter().filter(|c| !c.is_ascii()).count()
    }

    /// A lower bound for what the signs add, as a power of ten. A sign that repeatedly separates words is
    /// guessed once. Signs of a keyboard add less: many stand in a row.
    pub(super) fn of_signs(&self) -> f64 {
        let different: BTreeSet<char> = self.signs.iter().copied().collect();
        different
            .into_iter()
            .map(|c| if c.is_ascii() { 0.7 } else { 1.0 })
            .sum()
    }
}

/// The text without copies of earlier parts: characters in a row, or one letter three times or more.
pub(super) fn without_copies(text: &str) -> String {
    let all: Vec<char> = text.chars().collect();
    let (mut kept, mut next) = (String::new(), 0);
    while next < all.len() {
        match copied(&all, next) {
            0 => {
                kept.push(all[next]);
                next += 1;
            }
            copied => next += copied,
        }
    }
    kept
}

/// The number of characters from `here` on that copy earlier ones in the same order; 0 if they are few.
fn copied(all: &[char], here: usize) -> usize {
    let run = all[..here].last().map_or(0, |last| {
        let same = all[here..].iter().take_while(|next| *next == last);
        same.count()
    });
    if run >= SHORTEST_RUN {
        return run;
    }
    let longest = (0..here)
        .map(|before| {
            let pairs = all[before..here].iter().zip(&all[here..]);
            pairs.take_while(|(one, other)| one == other).count()
        })
        .max();
    longest.filter(|length| *length >= SHORTEST_COPY).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_word_is_folded_into_one() {
        for text in [
            "password",
            "PASS WORD",
            "p\u{a0}ass-word!",
            "pässwörd",
            "pa\u{308}ssword",
            "ｐａｓｓｗｏｒｄ",
            "pas\u{17f}word",
            "paßword",
            "𝓹𝓪𝓼𝓼𝔀𝓸𝓻𝓭",
        ] {
            assert_eq!(Folded::of(text, Signs::Signs).text, "password", "{text}");
        }
        assert_eq!(Folded::of("p@$$word", Signs::Signs).text, "pword");
        assert_eq!(Folded::of("p@$$word", Signs::Letters).text, "password");
        assert_eq!(Folded::of("비밀번호", Signs::Signs).text, "비밀번호");
    }

    #[test]
    fn one_character_that_stands_for_many_makes_no_long_text() {
        let text = Folded::of(&"\u{fdfa}".repeat(128), Signs::Signs).text;
        assert_eq!(text.chars().count(), LONGEST);
    }

    #[test]
    fn a_sign_counts_once_however_often_it_comes() {
        let worth = |text| Folded::of(text, Signs::Signs).of_signs();
        assert_eq!(worth("pass word pass word"), worth("password password"));
        assert!(worth("pass-word!") > worth("pass-word"));
    }

    #[test]
    fn what_has_come_before_is_left_out_wherever_it_was() {
        for (text, left) in [
            ("passwordpassword", "password"),
            ("password1password2", "password12"),
            ("1sunshine2sunshine3", "1sunshine23"),
            ("thecatandthedog", "thecatandthedog"),
            ("aaaabbbbbbccdd", "abccdd"),
            ("", ""),
        ] {
            assert_eq!(without_copies(text), left);
        }
    }
}
