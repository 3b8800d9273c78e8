//! Is a password too easy to guess? Asked of zxcvbn, which knows what is tried first, within bounds of what that may cost.
//!
//! zxcvbn tries every reading of characters that may stand for letters, and every word at every place: of some long texts that takes
//! seconds. So it is shown a piece at a time, with few such characters. A text is at least as hard to guess as the hardest of
//! its pieces; one estimate then takes some milliseconds, fifteen at most of all that was tried.

use zxcvbn::feedback::Feedback;
use zxcvbn::{Score, zxcvbn};

/// Code points of a piece: room for a phrase of several words.
const PIECE: usize = 48;

/// Different characters that stand for letters, in one piece. Somebody who uses more of them has not disguised a word.
const DISGUISES: usize = 4;

/// Each character that zxcvbn may read as a letter, and one that is only itself.
const READ_AS_LETTERS: [(char, char); 20] = [
    ('4', '^'),
    ('@', '&'),
    ('8', '*'),
    ('(', '-'),
    ('{', '_'),
    ('[', '='),
    ('<', '~'),
    ('3', '?'),
    ('6', ';'),
    ('9', ':'),
    ('1', ','),
    ('!', '.'),
    ('|', '/'),
    ('7', '\''),
    ('$', '`'),
    ('5', '"'),
    ('+', '#'),
    ('0', '>'),
    ('%', ')'),
    ('2', ']'),
];

/// Words about a person that are looked for at most, and how long each may be.
const WORDS: usize = 32;
const WORD: usize = 64;

/// Why the text would soon be guessed, if it would. `words` are what somebody who guesses knows beside.
pub(super) fn weakness(text: &str, words: &[&str]) -> Option<String> {
    let words: Vec<&str> = words
        .iter()
        .copied()
        .filter(|word| word.chars().count() <= WORD)
        .take(WORDS)
        .collect();
    let mut warning = None;
    for piece in pieces(text) {
        let estimate = zxcvbn(&with_few_disguises(&piece), &words);
        if estimate.score() >= Score::Three {
            return None;
        }
        warning = warning.or_else(|| estimate.feedback().and_then(Feedback::warning));
    }
    let told = warning.map(|warning| warning.to_string());
    Some(told.unwrap_or_else(|| "it is made of repeated or well-known parts".to_owned()))
}

/// The text in pieces of at most [`PIECE`] characters, the last of them as long as the others; of one that repeats itself, what it repeats.
fn pieces(text: &str) -> Vec<String> {
    let mut all: Vec<char> = text.chars().collect();
    all.truncate(period(&all));
    let starts = (0..all.len()).step_by(PIECE);
    starts
        .map(|start| {
            let start = start.min(all.len().saturating_sub(PIECE));
            all.iter().skip(start).take(PIECE).collect()
        })
        .collect()
}

/// After how many characters the text says the same again, at least twice; its length, if it does not.
fn period(text: &[char]) -> usize {
    let repeats = |length: &usize| text.iter().zip(&text[*length..]).all(|(one, other)| one == other);
    (1..=text.len() / 2).find(repeats).unwrap_or(text.len())
}

/// The same with no more than [`DISGUISES`] different characters that could be letters.
fn with_few_disguises(piece: &str) -> String {
    let mut seen = Vec::new();
    let plain = |c: char| {
        let Some((_, itself)) = READ_AS_LETTERS.iter().find(|(disguise, _)| *disguise == c) else {
            return c;
        };
        if !seen.contains(&c) {
            if seen.len() == DISGUISES {
                return *itself;
            }
            seen.push(c);
        }
        c
    };
    piece.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_weak_text_is_no_stronger_for_being_repeated() {
        for weak in [
            "aaaaaaaaaaaaaaaaaaaa",
            "passwordpassword1",
            "qwertyuiop",
            "abcdefghijkl",
            "ada",
        ] {
            let long: String = weak.chars().cycle().take(128).collect();
            assert!(weakness(&long, &["ada"]).is_some(), "{weak}");
        }
    }

    #[test]
    fn a_text_with_one_strong_piece_is_strong() {
        let strong = "correct horse battery staple";
        for text in [
            format!("{}{strong}", "a".repeat(100)),
            format!("{strong}{}", "a".repeat(100)),
            strong.to_owned(),
        ] {
            assert_eq!(weakness(&text, &[]), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_typed_the_estimator_is_shown_little_at_a_time(text in "[ -~\u{e0}-\u{ff}]{0,128}") {
            let pieces = pieces(&text);
            prop_assert!(pieces.len() <= 3);
            for piece in &pieces {
                let shown = with_few_disguises(piece);
                prop_assert!(shown.chars().count() <= PIECE);
                let disguises: BTreeSet<char> = shown
                    .chars()
                    .filter(|c| READ_AS_LETTERS.iter().any(|(disguise, _)| disguise == c))
                    .collect();
                prop_assert!(disguises.len() <= DISGUISES);
                prop_assert!(text.contains(piece.as_str()));
            }
            // Nothing is left out but what is said again.
            let shown: usize = pieces.iter().map(|piece| piece.chars().count()).sum();
            prop_assert!(shown >= period(&text.chars().collect::<Vec<_>>()));
        }
    }
}
