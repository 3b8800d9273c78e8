//! Characters that nobody sees where they stand, or that turn the direction of the text beside them.
//!
//! A name with one of them reverses the rest of an operator's terminal line, starts a line, or looks like
//! another name. They are found by Unicode's properties (UAX 44, by ICU4X). Some of them are allowed where writing
//! needs them: joiners in Persian, in Indic scripts and in emoji of several people, variation selectors, accents.

use std::borrow::Cow;

use icu_properties::props::{
    BidiClass, CanonicalCombiningClass, DefaultIgnorableCodePoint, ExtendedPictographic, GeneralCategory,
    GeneralCategoryGroup, IndicSyllabicCategory, JoiningType, Script,
};
use icu_properties::{CodePointMapData, CodePointSetData};

const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';
/// A symbol of no dots: the one blank that Unicode counts among the visible characters.
const BRAILLE_BLANK: char = '\u{2800}';

/// The characters of a text that are unseen where they stand, each with its place in bytes.
pub(crate) fn of_text(text: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut before = None;
    let mut rest = text.char_indices().peekable();
    std::iter::from_fn(move || {
        loop {
            let (at, c) = rest.next()?;
            let next = rest.peek().map(|(_, next)| *next);
            let is_unseen = is_unseen(before, c, next);
            before = Some(c);
            if is_unseen {
                return Some((at, c));
            }
        }
    })
}

fn is_unseen(before: Option<char>, c: char, next: Option<char>) -> bool {
    // Most text is ASCII.
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let category = category(c);
    match c {
        ZERO_WIDTH_JOINER | ZERO_WIDTH_NON_JOINER => !joins(before, c, next),
        BRAILLE_BLANK => true,
        _ if is_variation_selector(c) => !has_variations(before),
        _ if is_ignorable(c) => true,
        _ if GeneralCategoryGroup::Mark.contains(category) => !before.is_some_and(is_base),
        _ => {
            GeneralCategoryGroup::Other.contains(category)
                || [
                    GeneralCategory::LineSeparator,
                    GeneralCategory::ParagraphSeparator,
                ]
                .contains(&category)
        }
    }
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Whether a combining mark can stand on this character, or on the one that this character stands on.
fn is_base(c: char) -> bool {
    let category = category(c);
    !GeneralCategoryGroup::Separator.contains(category) && !GeneralCategoryGroup::Other.contains(category)
        || [ZERO_WIDTH_JOINER, ZERO_WIDTH_NON_JOINER].contains(&c)
}

/// Whether writing needs a joiner here (RFC 5892 A.1 and A.2, and UTS 51 2.2).
fn joins(before: Option<char>, joiner: char, next: Option<char>) -> bool {
    let Some(before) = before else {
        return false;
    };
    // Half forms, and the older spelling of the letters that end Malayalam words.
    if CodePointMapData::<CanonicalCombiningClass>::new().get(before) == CanonicalCombiningClass::Virama {
        return true;
    }
    let Some(next) = next else {
        return false;
    };
    let is_of_emoji = joiner == ZERO_WIDTH_JOINER
        && is_pictograph(next)
        && (is_pictograph(before) || is_on_pictographs(before));
    is_of_emoji || (is_of_joining_script(before) && is_of_joining_script(next))
}

fn is_of_joining_script(c: char) -> bool {
    let joining = CodePointMapData::<JoiningType>::new().get(c);
    let syllable = CodePointMapData::<IndicSyllabicCategory>::new().get(c);
    let is_word = GeneralCategoryGroup::Letter.contains(category(c))
        || GeneralCategoryGroup::Mark.contains(category(c));
    let is_joining = [
        JoiningType::DualJoining,
        JoiningType::RightJoining,
        JoiningType::LeftJoining,
    ]
    .contains(&joining);
    // The marks of Arabic stand on letters that join.
    let is_mark_of_joining =
        joining == JoiningType::Transparent && script(c) != Script::Common && !is_ignorable(c);
    is_word && (is_joining || is_mark_of_joining || syllable != IndicSyllabicCategory::Other)
}

fn is_variation_selector(c: char) -> bool {
    CodePointSetData::new::<icu_properties::props::VariationSelector>().contains(c)
}

/// Whether a variation selector can give the character before it another form: in emoji, Han and Mongolian.
fn has_variations(before: Option<char>) -> bool {
    before.is_some_and(|c| is_pictograph(c) || [Script::Han, Script::Mongolian].contains(&script(c)))
}

fn is_pictograph(c: char) -> bool {
    CodePointSetData::new::<ExtendedPictographic>().contains(c)
}

/// A variation selector or a colour of skin.
fn is_on_pictographs(c: char) -> bool {
    is_variation_selector(c) || CodePointSetData::new::<icu_properties::props::EmojiModifier>().contains(c)
}

fn script(c: char) -> Script {
    CodePointMapData::<Script>::new().get(c)
}

/// The text with unseen characters written out, as `‹U+202E›`.
pub(crate) fn written_out(text: &str) -> Cow<'_, str> {
    if of_text(text).next().is_none() {
        return Cow::Borrowed(text);
    }
    let (mut shown, mut from) = (String::new(), 0);
    for (at, c) in of_text(text) {
        shown.push_str(&text[from..at]);
        shown.push_str(&format!("\u{2039}U+{:04X}\u{203a}", u32::from(c)));
        from = at + c.len_utf8();
    }
    shown.push_str(&text[from..]);
    Cow::Owned(shown)
}

/// The text with `instead` in place of each unseen character.
pub(crate) fn replaced(text: &str, instead: char) -> String {
    let unseen: Vec<usize> = of_text(text).map(|(at, _)| at).collect();
    let shown = text.char_indices();
    shown
        .map(|(at, c)| {
            if unseen.binary_search(&at).is_ok() {
                instead
            } else {
                c
            }
        })
        .collect()
}

/// The text, written out, as part of an English line. If a letter of it runs from right to left, it stands between
/// marks that keep its direction from the rest of the line (UAX 9 2.4). Other text needs no marks, and some terminals
/// show them.
pub(crate) fn in_line(text: &str) -> Cow<'_, str> {
    if runs_from_right_to_left(text) {
        Cow::Owned(isolated(written_out(text).into_owned()))
    } else {
        written_out(text)
    }
}

/// The text between the marks that keep its direction from the text around it, if it needs them.
pub(crate) fn isolated(text: String) -> String {
    if runs_from_right_to_left(&text) {
        format!("\u{2068}{text}\u{2069}")
    } else {
        text
    }
}

fn runs_from_right_to_left(text: &str) -> bool {
    let class = CodePointMapData::<BidiClass>::new();
    text.contains(|c| {
        [
            BidiClass::RightToLeft,
            BidiClass::ArabicLetter,
            BidiClass::ArabicNumber,
        ]
        .contains(&class.get(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_found_wherever_it_stands() {
        for c in "\0\n\u{1b}\u{7f}\u{9b}\u{ad}\u{34f}\u{61c}\u{115f}\u{1160}\u{17b4}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\
            \u{202a}\u{202e}\u{2060}\u{2064}\u{2066}\u{2069}\u{206f}\u{2800}\u{3164}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\u{180e}\u{1d173}\
            \u{e0001}\u{e0061}\u{e007f}\u{e0100}\u{e000}\u{f0000}\u{10ffff}\u{378}\u{fdd0}".chars()
        {
            let name = format!("Ada{c}Lovelace");
            assert_eq!(of_text(&name).collect::<Vec<_>>(), [(3, c)], "{c:?}");
            assert_eq!(written_out(&name), format!("Ada‹U+{:04X}›Lovelace", u32::from(c)));
            assert_eq!(replaced(&name, ' '), "Ada Lovelace");
        }
        for text in [
            "\u{301}Ada",
            "Ada \u{301}",
            "a\u{301}\u{200d}b",
            "1\u{fe0f}",
            "\u{1f469}\u{200d}x",
            "علی\u{200c}",
            "ع\u{200c} ع",
        ] {
            assert_eq!(of_text(text).count(), 1, "{text:?}");
        }
    }

    #[test]
    fn what_people_write_with_is_seen() {
        for text in [
            "Zoë Åström",
            "Rene\u{301}e",
            "Nguyễn Thị Minh Khai",
            "東京　太郎",
            "葛\u{e0100}城",
            "علی\u{200c}رضا",
            "مُحَمَّد",
            "דוד (Dave)",
            "क्\u{200d}ष",
            "ශ්\u{200d}රී",
            "മോഹന്\u{200d}",
            "\u{1f469}\u{200d}\u{1f4bb}\u{fe0f} Ada",
            "\u{1f469}\u{1f3fd}\u{200d}\u{1f680} Ada",
            "❤\u{fe0f}",
            "ᠮᠣᠩᠭᠣᠯ\u{180b}",
            "\u{a0}x",
        ] {
            assert_eq!(of_text(text).next(), None, "{text:?}");
            assert_eq!(written_out(text), text);
        }
    }

    #[test]
    fn a_name_cannot_leave_its_isolate() {
        assert_eq!(
            in_line("ד\u{2069}\u{202e}b"),
            "\u{2068}ד‹U+2069›‹U+202E›b\u{2069}"
        );
        assert_eq!(in_line("Ada"), "Ada");
        assert_eq!(in_line("דוד"), "\u{2068}דוד\u{2069}");
    }
}
