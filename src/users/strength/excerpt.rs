//! The excerpt of a long text that the estimator gets.
//!
//! The estimator looks up every part of a text in its lists, and repeats this for each way to read
//! look-alikes as letters (`$` as s, `1` as i or l). For some texts of a hundred characters this takes
//! seconds of processor time. So the estimator gets an excerpt that costs some milliseconds at most. To guess
//! the whole text, an attacker has to guess the excerpt: the estimate also holds for the whole.

/// The most code points of an excerpt.
pub(super) const LONGEST: usize = 48;

/// The most work for an excerpt: its length squared (about the number of its parts) times its readings. A
/// password has at most three excerpts.
const MOST_WORK: usize = 16 * 1_024;

/// Shorter repetitions are kept: words and years have some.
const SHORTEST_REPETITION: usize = 9;

/// The look-alikes that the estimator knows, for a, b, c, e, g, i, l, o, s, t, x and z.
const LOOK_ALIKES: [&str; 12] = [
    "4@", "8", "({[<", "3", "69", "1!|", "1|7", "0", "$5", "+7", "%", "2",
];

/// An excerpt that costs no more than allowed. Repetitions become two copies, or one if two still cost too
/// much. Then the end is cut off, as far as necessary.
pub(super) fn excerpt(text: &str) -> Vec<char> {
    let all: Vec<char> = text.chars().collect();
    let twice = with_copies(&all, 2);
    let mut kept = if is_affordable(&twice) {
        twice
    } else {
        with_copies(&all, 1)
    };
    let affordable = (1..=kept.len())
        .take_while(|length| is_affordable(&kept[..*length]))
        .count();
    kept.truncate(affordable);
    kept
}

pub(super) fn is_affordable(text: &[char]) -> bool {
    text.len() <= LONGEST && text.len() * text.len() * readings(text) <= MOST_WORK
}

/// An upper bound for the ways to read look-alikes as letters. One that stands for two letters may be read as
/// either.
pub(super) fn readings(text: &[char]) -> usize {
    let mut seen = Vec::new();
    let ways = LOOK_ALIKES.map(|of_a_letter| {
        let mut ways = 0;
        for look_alike in of_a_letter.chars().filter(|c| text.contains(c)) {
            ways += if seen.contains(&look_alike) { 2 } else { 1 };
            seen.push(look_alike);
        }
        ways.max(1)
    });
    ways.into_iter().product()
}

/// The text with at most `most` copies of each part that is repeated in a row.
fn with_copies(text: &[char], most: usize) -> Vec<char> {
    let (mut kept, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let Repetition { period, copies, same } = repetition(rest).unwrap_or(Repetition::NONE);
        kept.extend(&rest[..period * copies.min(most)]);
        // An incomplete copy at the end says nothing new either.
        let passed = if same == rest.len() { same } else { period * copies };
        rest = &rest[passed..];
    }
    kept
}

/// The repetition at the beginning of a text.
struct Repetition {
    /// The length of the repeated part.
    period: usize,
    /// The number of complete copies.
    copies: usize,
    /// The number of characters, with an incomplete copy at the end.
    same: usize,
}

impl Repetition {
    /// No repetition: one character, once.
    const NONE: Self = Self {
        period: 1,
        copies: 1,
        same: 1,
    };
}

/// The repetition with the shortest part at the beginning of a text, if there is one.
fn repetition(text: &[char]) -> Option<Repetition> {
    (1..=text.len() / 2).find_map(|period| {
        let pairs = text.iter().zip(&text[period..]);
        let same = period + pairs.take_while(|(one, next)| one == next).count();
        let copies = same / period;
        let found = Repetition { period, copies, same };
        (copies > 1 && period * copies >= SHORTEST_REPETITION).then_some(found)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_comes_again_and_again_is_told_by_two_copies() {
        let excerpt = |text: &str| excerpt(text).into_iter().collect::<String>();
        assert_eq!(excerpt(&"dragon".repeat(21)), "dragondragon");
        assert_eq!(excerpt(&format!("1999 {}!", "sun ".repeat(30))), "1999 sun sun !");
        // Two copies of this would be too long.
        let once = "thirty characters, once or more";
        assert_eq!(excerpt(&once.repeat(4)), once);
        assert_eq!(excerpt(&format!("{}{}", "x".repeat(40), "y".repeat(40))), "xxyy");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn whatever_was_typed_the_estimators_work_is_bounded(text in "[ -~]{1,128}|[a-z0-9]{1,128}|\\PC{1,128}") {
            let all: Vec<char> = text.chars().collect();
            let excerpt = excerpt(&text);
            prop_assert!(is_affordable(&excerpt));
            prop_assert!(!excerpt.is_empty());
            if let Some(Repetition { period, copies, .. }) = repetition(&all) {
                prop_assert!((1..copies).all(|n| all[..period] == all[n * period..][..period]));
            }
        }
    }
}
