//! What the estimator is given of a long text.
//!
//! It looks every part of a text up in its lists, and all of them again for each way to read look-alikes back into letters (`$` as s, `1`
//! as i or l). Of some texts of a hundred characters that is seconds of processor time. So it is given an excerpt that costs at most some
//! milliseconds. To guess the whole one has to guess the excerpt, so what is said of it holds for the whole.

/// Most code points of an excerpt.
pub(super) const LONGEST: usize = 48;

/// Most work for an excerpt: the square of its length, which is about the number of its parts, times its readings. There are at most three
/// for a password.
const MOST_WORK: usize = 16 * 1_024;

/// Repetitions shorter than this are left alone: words have some, and years.
const SHORTEST_REPETITION: usize = 9;

/// The look-alikes that the estimator knows: of a, b, c, e, g, i, l, o, s, t, x and z.
const LOOK_ALIKES: [&str; 12] = [
    "4@", "8", "({[<", "3", "69", "1!|", "1|7", "0", "$5", "+7", "%", "2",
];

/// What the estimator is given of a text that would cost too much: repetitions as two copies or, where that is still too much, as one,
/// and then as much from the beginning as can be afforded.
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

/// At most so many ways there are to read look-alikes back into letters. One that stands for two letters may be read as either.
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

/// The text with at most so many copies of whatever comes several times in a row.
fn with_copies(text: &[char], most: usize) -> Vec<char> {
    let (mut kept, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let Repetition { period, copies, same } = repetition(rest).unwrap_or(Repetition::NONE);
        kept.extend(&rest[..period * copies.min(most)]);
        // At the end, what has begun once more says nothing new either.
        let passed = if same == rest.len() { same } else { period * copies };
        rest = &rest[passed..];
    }
    kept
}

/// How a text begins.
struct Repetition {
    /// The length of what comes several times in a row.
    period: usize,
    /// How often it does.
    copies: usize,
    /// For how many characters it goes on, the last of which may be the beginning of one more.
    same: usize,
}

impl Repetition {
    /// One character, once.
    const NONE: Self = Self {
        period: 1,
        copies: 1,
        same: 1,
    };
}

/// The shortest part with which a text begins and that comes at least twice in a row.
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
        // Two of this would be too long.
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
