//! What is left of a password when it is read as somebody reads who tries likely passwords in every spelling.
//!
//! `Password-pässword`, `pass word pass word` and `ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ` are one password twice: to the estimator they are several
//! parts, of which it thinks that their order is hard to guess.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Letters that come again somewhere say nothing new from so many in a row on.
const SHORTEST_COPY: usize = 4;

/// One letter comes again so many times at least, after the first, where no word does it.
const SHORTEST_RUN: usize = 2;

/// Letters and digits that are looked at: one character of a password may stand for many.
const LONGEST: usize = 512;

/// A text in lower case, in plain letters and digits.
#[derive(Debug)]
pub(super) struct Folded {
    /// Letters and digits, without accents.
    pub text: String,
    /// All that was taken out: spaces, signs, accents, emoji.
    signs: Vec<char>,
}

/// What signs that look like letters are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signs {
    /// Signs.
    Signs,
    /// Letters: `@` for a, `$` for s.
    Letters,
}

impl Folded {
    pub(super) fn of(text: &str, signs: Signs) -> Self {
        let (mut letters, mut taken_out) = (String::new(), Vec::new());
        for c in text.nfkd() {
            match c {
                '@' if signs == Signs::Letters => letters.push('a'),
                '$' if signs == Signs::Letters => letters.push('s'),
                // Upper case first: some small letters have it in common.
                c if c.is_alphanumeric() && !is_combining_mark(c) => {
                    letters.extend(c.to_uppercase().flat_map(char::to_lowercase));
                }
                c => taken_out.push(c),
            }
        }
        Self {
            // Korean syllables are one letter again.
            text: letters.nfc().take(LONGEST).collect(),
            signs: taken_out,
        }
    }

    /// How many there are that a keyboard does not have, which may be all that a password is made of.
    pub(super) fn foreign_signs(&self) -> usize {
        self.signs.iter().filter(|c| !c.is_ascii()).count()
    }

    /// By how many powers of ten the signs make it harder to guess, to say the least. One that comes several times parts words, and
    /// is guessed once; of those on a keyboard many stand in a row.
    pub(super) fn of_signs(&self) -> f64 {
        let different: BTreeSet<char> = self.signs.iter().copied().collect();
        different
            .into_iter()
            .map(|c| if c.is_ascii() { 0.7 } else { 1.0 })
            .sum()
    }
}

/// Without what has come before, wherever that was: letters in a row, or one letter three times and more.
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

/// How many characters from here on have come before in the same order; none, if they are few.
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
