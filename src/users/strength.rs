//! How hard a password is to guess, at a cost that is bounded whatever was typed.
//!
//! The estimator looks every part of a text up in its lists, and all of them again for each way to read look-alikes back into letters
//! (`$` as s, `1` as i or l). Of some texts of a hundred characters that is seconds of processor time. So it is given an excerpt that
//! costs at most some milliseconds. To guess the whole one has to guess the excerpt, so what is said of it holds for the whole.

use zxcvbn::feedback::Feedback;
use zxcvbn::{Entropy, Score, zxcvbn};

use super::Unusable;

/// Most code points of an excerpt.
const LONGEST: usize = 48;

/// Most work for an excerpt: the square of its length, which is about the number of its parts, times its readings.
const MOST_WORK: usize = 48 * 1_024;

/// Most words about somebody that the estimator knows; each of them is no longer than an excerpt.
const MOST_WORDS: usize = 24;

/// What is left without words about its owner has at least so many letters, or it would not do as a password of its own.
const LEAST_BESIDE_WORDS: usize = 8;

/// Repetitions shorter than this are left alone: words have some, and years.
const SHORTEST_REPETITION: usize = 9;

/// The look-alikes that the estimator knows: of a, b, c, e, g, i, l, o, s, t, x and z.
const LOOK_ALIKES: [&str; 12] = [
    "4@", "8", "({[<", "3", "69", "1!|", "1|7", "0", "$5", "+7", "%", "2",
];

/// Would somebody who tries likely passwords first soon try this one? `about` is what is known of its owner: name, address.
///
/// # Errors
/// [`Unusable::Guessable`] with the reason, which does not repeat the password.
pub(super) fn judge(password: &str, about: &[&str]) -> Result<(), Unusable> {
    judge_by(zxcvbn, password, about)
}

/// The same by this estimator, which is given a text and words about its owner.
fn judge_by(
    estimate: impl FnOnce(&str, &[&str]) -> Entropy,
    password: &str,
    about: &[&str],
) -> Result<(), Unusable> {
    let words = words(about);
    let rest = without(password, &words);
    let is_letter = |c: &char| c.is_alphanumeric() || !c.is_ascii();
    if rest.chars().filter(is_letter).count() < LEAST_BESIDE_WORDS {
        let why = "it says little more than your name, your address or what this service is called";
        return Err(Unusable::Guessable(why.to_owned()));
    }
    let all: Vec<char> = password.chars().collect();
    let excerpt: String = if is_affordable(&all) {
        password.to_owned()
    } else {
        excerpt(&rest).into_iter().collect()
    };
    let strength = estimate(&excerpt, &known(words));
    if strength.score() >= Score::Three {
        return Ok(());
    }
    let why = match strength.feedback().and_then(Feedback::warning) {
        Some(warning) => warning.to_string(),
        None => "it is made of repeated or well-known parts".to_owned(),
    };
    Err(Unusable::Guessable(why))
}

/// Each as it is and in its parts, and what this program is called.
fn words<'a>(about: &[&'a str]) -> Vec<&'a str> {
    let parts = about
        .iter()
        .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
        .filter(|part| part.chars().count() > 2);
    about.iter().copied().chain(["oneseat"]).chain(parts).collect()
}

/// Those that the estimator is told.
fn known(mut words: Vec<&str>) -> Vec<&str> {
    words.retain(|word| word.chars().count() <= LONGEST);
    words.truncate(MOST_WORDS);
    words
}

/// In lower case, and without these words. The estimator knows them, too, but thinks that their order is hard to guess.
fn without(password: &str, words: &[&str]) -> String {
    let mut rest = password.to_lowercase();
    for word in words.iter().filter(|word| word.chars().count() > 2) {
        rest = rest.replace(&word.to_lowercase(), "");
    }
    rest
}

/// What the estimator is given of a text that would cost too much: repetitions as two copies or, where that is still too much, as one,
/// and then as much from the beginning as can be afforded.
fn excerpt(text: &str) -> Vec<char> {
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

fn is_affordable(text: &[char]) -> bool {
    text.len() <= LONGEST && text.len() * text.len() * readings(text) <= MOST_WORK
}

/// At most so many ways there are to read look-alikes back into letters. One that stands for two letters may be read as either.
fn readings(text: &[char]) -> usize {
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

    fn is_weak(password: &str) -> bool {
        judge(password, &["Ada Lovelace", "ada.lovelace@analytical.example"]).is_err()
    }

    #[test]
    fn what_is_weak_stays_weak_however_long_it_is_made() {
        for part in [
            "a",
            "ab",
            "password",
            "P@ssw0rd!",
            "qwertyuiop",
            "1qaz2wsx",
            "01.01.1990",
            "!@#$%^&*()_+",
            "abcdefghijklmnopqrstuvwxyz",
            "zyxwvutsrqponmlkjihgfedcba",
            "1234567890!@#$%^&*()",
            "Ada Lovelace ",
            "iloveyou ada.lovelace@analytical.example ",
        ] {
            let long: String = part.chars().cycle().take(128).collect();
            assert!(is_weak(&long), "{part} again and again");
            let times = 100 / part.len() * part.len();
            for (before, after) in [("dragon", ""), ("", "dragon"), ("Ada", "sunshine")] {
                let long = format!("{before}{}{after}", &long[..times]);
                // What is readable in many ways is cut early.
                if readings(&long.chars().collect::<Vec<_>>()) <= 24 {
                    assert!(is_weak(&long), "{long}");
                }
            }
        }
    }

    #[test]
    fn what_is_strong_stays_strong_however_long_it_is() {
        let strong = "many words that nobody else would have put into this row, and some more of them behind";
        for length in [15, 28, 47, 48, 49, 60, strong.len()] {
            assert!(!is_weak(&strong[..length]), "{}", &strong[..length]);
        }
        // What is before and behind says who it is, or is repeated.
        for beside in [
            "Ada Lovelace ",
            "ada.lovelace@analytical.example",
            &"so ".repeat(20),
        ] {
            assert!(!is_weak(&format!("{beside} has many words for this")), "{beside}");
            assert!(!is_weak(&format!("many words has this for {beside}")), "{beside}");
        }
    }

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

    /// The text and the words on which the estimator spends its time. `None`: it is not asked.
    fn given_to_the_estimator(password: &str, about: &[&str]) -> Option<(String, Vec<String>)> {
        let mut given = None;
        let note = |text: &str, words: &[&str]| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            given = Some((text.to_owned(), words));
            zxcvbn("", &[])
        };
        let _ = judge_by(note, password, about);
        given
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn whatever_was_typed_the_estimators_work_is_bounded(
            text in "[ -~]{1,128}|[a-z0-9]{1,128}|\\PC{1,128}|[4@8({<369!|71057+%2$]{1,128}",
            name in "\\PC{1,200}",
            address in "[a-z.+-]{1,64}@[a-z.-]{1,180}",
        ) {
            if let Some((given, words)) = given_to_the_estimator(&text, &[&name, &address]) {
                let given: Vec<char> = given.chars().collect();
                prop_assert!((1..=48).contains(&given.len()), "{given:?}");
                prop_assert!(given.len() * given.len() * readings(&given) <= 48 * 1_024, "{given:?}");
                prop_assert!(words.len() <= 24 && words.contains(&"oneseat".to_owned()), "{words:?}");
                prop_assert!(words.iter().all(|word| word.chars().count() <= 48), "{words:?}");
            }
        }

        #[test]
        fn what_is_taken_for_a_repetition_is_one(text in "[ab]{1,128}|\\PC{1,128}") {
            let all: Vec<char> = text.chars().collect();
            if let Some(Repetition { period, copies, .. }) = repetition(&all) {
                prop_assert!((1..copies).all(|n| all[..period] == all[n * period..][..period]));
            }
        }
    }
}
