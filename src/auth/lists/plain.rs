//! Plain letters: a search overlooks case and marks.

use unicode_normalization::UnicodeNormalization;

/// The text in lower case and in plain letters: `oberg` for `Öberg`, `lukasz` for `Łukasz`. The function `plain_letters`
/// in PostgreSQL does the same with the columns that are searched. Only for searches: two addresses that differ may
/// have the same plain letters.
pub fn plain_letters(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    // The decomposition of ö is o and U+0308.
    for letter in text.nfd().filter(|letter| !is_mark(*letter)) {
        match lower(letter) {
            'ς' => plain.push('σ'),
            'ſ' => plain.push('s'),
            'ø' => plain.push('o'),
            'ł' => plain.push('l'),
            'đ' | 'ð' => plain.push('d'),
            'ı' => plain.push('i'),
            'ħ' => plain.push('h'),
            'ŧ' => plain.push('t'),
            'ß' => plain.push_str("ss"),
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            'þ' => plain.push_str("th"),
            other => plain.push(other),
        }
    }
    plain.nfc().collect()
}

/// Whether it is a mark of Latin, Greek or Cyrillic letters. In other scripts a mark makes another word.
fn is_mark(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}')
}

/// The lower case of a letter without marks, which is always one letter.
fn lower(letter: char) -> char {
    letter.to_lowercase().next().unwrap_or(letter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn letters_with_marks_are_their_plain_letters() {
        for (text, right) in [
            ("Öberg", "oberg"),
            ("ÅSA", "asa"),
            ("Łukasz", "lukasz"),
            ("José", "jose"),
            ("Mu\u{308}ller", "muller"),
            ("Đặng", "dang"),
            ("Bjørn", "bjorn"),
            ("Işık İlhan", "isik ilhan"),
            ("Þórður", "thordur"),
            ("Æsir ǽ œuvre", "aesir ae oeuvre"),
            ("ẞ STRASSE ß", "ss strasse ss"),
            ("Ħal Ŧ ſ", "hal t s"),
            ("Σίσυφος", "σισυφοσ"),
            ("Ёлка", "елка"),
            // In other scripts a mark makes another letter.
            ("ガ が 각 क़", "ガ が 각 क\u{93c}"),
        ] {
            assert_eq!(plain_letters(text), right, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn plain_letters_stay_as_they_are_and_composition_does_not_matter(text: String) {
            let plain = plain_letters(&text);
            prop_assert_eq!(plain_letters(&plain), plain.clone());
            let (apart, together): (String, String) = (text.nfd().collect(), text.nfc().collect());
            prop_assert_eq!(plain_letters(&apart), plain.clone());
            prop_assert_eq!(plain_letters(&together), plain);
        }
    }
}
