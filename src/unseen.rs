//! Invisible characters that change how the text beside them is read.
//!
//! A name with one of them reverses the rest of an operator's terminal line, starts a line, or looks like
//! another name. Characters that people write with stay: joiners (Persian; emoji of several people),
//! direction marks beside right-to-left letters (they reach no further), variation selectors, accents.

/// Control characters (general category Cc), line and paragraph separators (Zl, Zp), and format (Cf) and
/// other invisible characters, except those that people write with.
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Soft hyphen, grapheme joiner.
            '\u{ad}' | '\u{34f}'
            // Invisible letters.
            | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}'
            | '\u{200b}'
            // Separators; embeddings and overrides of the writing direction.
            | '\u{2028}'..='\u{202e}'
            // Word joiner, invisible operators, isolates, deprecated characters.
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            // Annotations.
            | '\u{fff0}'..='\u{fffb}'
            // Format controls of hieroglyphs, shorthand, music.
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            // Tags, and unassigned characters beside them.
            | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}'
        )
}

/// Is it invisible by itself, although people write with it?
pub(crate) fn is_mark(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200c}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}'
        )
}

/// The text with `instead` in place of each unseen character.
pub(crate) fn replaced(text: &str, instead: char) -> String {
    text.chars()
        .map(|c| if is_unseen(c) { instead } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unseen_is_told_from_what_people_write_with() {
        for c in "\0\n\u{9b}\u{ad}\u{200b}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{feff}\u{e0001}\u{e007f}".chars() {
            assert!(is_unseen(c), "{c:?}");
        }
        for c in "aé\u{301}東ظ\u{61c}\u{200c}\u{200d}\u{200e}\u{200f}\u{fe0f}\u{e0100}\u{180b} \u{a0}".chars()
        {
            assert!(!is_unseen(c), "{c:?}");
        }
        assert_eq!(replaced("a\u{202e}b", ' '), "a b");
    }
}
