//! Judges how hard a password is to guess. The cost is bounded for any input.
//!
//! A password is judged as typed, and again folded to plain letters and digits. Spaces, signs, accents and
//! capitals are easy to guess, but hide repetitions and listed words from the estimator.

mod excerpt;
mod folded;
mod well_known;

use zxcvbn::feedback::{Feedback, Warning};
use zxcvbn::{Entropy, zxcvbn};

use self::excerpt::{LONGEST, excerpt, is_affordable};
use self::folded::{Folded, Signs};
use super::Unusable;

/// A password must take more guesses than ten to this power (zxcvbn's score 3, "safely unguessable").
const ENOUGH: f64 = 8.0;

/// The guesses that well-known phrases add to other words, as a power of ten: the list has about as many
/// phrases.
const OF_PHRASES: f64 = 2.0;

/// The most words about the owner that the estimator gets. None is longer than an excerpt.
const MOST_WORDS: usize = 24;

/// The fewest letters that must remain when words about the owner and well-known phrases are taken out.
const LEAST_BESIDE_WORDS: usize = 8;

/// Refuses a password that an attacker would soon try. `about` describes its owner: name and address.
///
/// # Errors
/// [`Unusable::Guessable`] with the reason, which does not repeat the password.
pub(super) fn judge(password: &str, about: &[&str]) -> Result<(), Unusable> {
    judge_by(zxcvbn, password, about)
}

/// Judges with an estimator, which gets a text and words about the owner.
fn judge_by(
    mut estimate: impl FnMut(&str, &[&str]) -> Entropy,
    password: &str,
    about: &[&str],
) -> Result<(), Unusable> {
    let words = words(about);
    let lower_case = password.to_lowercase();
    let rest = without(&lower_case, &words);
    let is_letter = |c: &char| c.is_alphanumeric() || !c.is_ascii();
    // If nothing was taken out, there may be few letters because there are many signs.
    if rest.chars().filter(is_letter).count() < LEAST_BESIDE_WORDS && rest != lower_case {
        return guessable(ABOUT_OWNER);
    }
    let folded = Folded::of(password, Signs::Signs);
    let read = Folded::of(password, Signs::Letters);
    judge_folded(&mut estimate, &folded, &words)?;
    if read.text != folded.text {
        judge_folded(&mut estimate, &read, &words)?;
    }
    let all: Vec<char> = password.chars().collect();
    let excerpt: String = if is_affordable(&all) {
        password.to_owned()
    } else {
        excerpt(&rest).into_iter().collect()
    };
    is_enough(&estimate(&excerpt, &known(words)), 0.0)
}

/// Judges the folded password, and adds what the removed signs are worth.
fn judge_folded(
    estimate: &mut impl FnMut(&str, &[&str]) -> Entropy,
    folded: &Folded,
    words: &[&str],
) -> Result<(), Unusable> {
    let words: Vec<String> = words
        .iter()
        .map(|word| Folded::of(word, Signs::Signs).text)
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let rest = without(&folded.text, &words);
    let says_little = |rest: &str| {
        rest.chars().count() + folded.foreign_signs() < LEAST_BESIDE_WORDS && rest != folded.text
    };
    if says_little(&rest) {
        return guessable(ABOUT_OWNER);
    }
    let beside = well_known::without_phrases(&rest);
    if says_little(&beside) {
        return guessable(WELL_KNOWN);
    }
    let of_phrases = if beside == rest { 0.0 } else { OF_PHRASES };
    let excerpt: String = excerpt(&folded::without_copies(&beside)).into_iter().collect();
    is_enough(&estimate(&excerpt, &known(words)), folded.of_signs() + of_phrases)
}

const ABOUT_OWNER: &str = "it says little more than your name, your address or what this service is called";
const WELL_KNOWN: &str = "it says little more than a well-known phrase";

fn guessable(why: &str) -> Result<(), Unusable> {
    Err(Unusable::Guessable(why.to_owned()))
}

/// Accepts a high estimate. `more` is the number of guesses for what the estimator did not see, as a power of
/// ten.
fn is_enough(estimate: &Entropy, more: f64) -> Result<(), Unusable> {
    // The estimate of an empty text is minus infinity.
    if estimate.guesses_log10().max(0.0) + more > ENOUGH {
        return Ok(());
    }
    match estimate.feedback().and_then(Feedback::warning) {
        Some(warning) => guessable(in_words(warning)),
        None => guessable("it is made of repeated or well-known parts"),
    }
}

/// The estimator's reason, as the end of a sentence.
fn in_words(warning: Warning) -> &'static str {
    match warning {
        Warning::StraightRowsOfKeysAreEasyToGuess | Warning::ShortKeyboardPatternsAreEasyToGuess => {
            "its keys are neighbours on a keyboard"
        }
        Warning::RepeatsLikeAaaAreEasyToGuess | Warning::RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess => {
            "it repeats itself"
        }
        Warning::ThisIsATop10Password | Warning::ThisIsATop100Password | Warning::ThisIsACommonPassword => {
            "many people use it"
        }
        Warning::ThisIsSimilarToACommonlyUsedPassword => "it is like one that many people use",
        Warning::SequencesLikeAbcAreEasyToGuess => "it is a sequence, such as abc",
        Warning::RecentYearsAreEasyToGuess => "it has a year of our time in it",
        Warning::AWordByItselfIsEasyToGuess => "it is one word",
        Warning::DatesAreOftenEasyToGuess => "it has a date in it",
        Warning::NamesAndSurnamesByThemselvesAreEasyToGuess
        | Warning::CommonNamesAndSurnamesAreEasyToGuess => "it is made of names",
    }
}

/// The words about the owner: the texts, their parts, and the name of this program.
fn words<'a>(about: &[&'a str]) -> Vec<&'a str> {
    let parts = about
        .iter()
        .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
        .filter(|part| part.chars().count() > 2);
    about.iter().copied().chain(["oneseat"]).chain(parts).collect()
}

/// The words that the estimator gets.
fn known(mut words: Vec<&str>) -> Vec<&str> {
    words.retain(|word| word.chars().count() <= LONGEST);
    words.truncate(MOST_WORDS);
    words
}

/// The lower-case text without these words. The estimator knows them, too, but thinks that their order is
/// hard to guess.
fn without(text: &str, words: &[&str]) -> String {
    let mut rest = text.to_owned();
    for word in words.iter().filter(|word| word.chars().count() > 2) {
        rest = rest.replace(&word.to_lowercase(), "");
    }
    rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::excerpt::readings;
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
                // A text with many readings is cut early.
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
        // The beginning names the owner, or is repeated.
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
    fn what_is_tried_first_is_weak_in_every_spelling() {
        for text in [
            "password password",
            "PASSWORD PASSWORD",
            "password  password",
            "password\u{a0}password",
            "password-password",
            "password.password",
            "password@password",
            "password1password2",
            "pass word pass word",
            "pass!!!!!!!!word",
            "pass!word@pass#word$",
            "p@ssw0rd! p@ssw0rd!",
            "p@$$word & p@$$word",
            "sunshine sunshine",
            "aaaa bbbb cccc dddd",
            "1111-2222-3333-4444",
            "sunshine, password, sunshine",
            "Password1234567!",
            "pässword pässword",
            "pa\u{308}ssword pa\u{308}ssword",
            "ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ",
            "password\u{1f980}password",
            "A d a  L o v e l a c e",
            "Ädä Lövelace oneseat",
            "correcthorsebatterystaple",
            "correct horse battery staple",
            "Correct-Horse-Battery-Staple-1!",
            "May the Force be with you!",
            "Ada Lovelace, correct horse battery staple",
            "Lovelace analytical ada example",
        ] {
            assert!(is_weak(text), "{text}");
        }
    }

    #[test]
    fn what_is_strong_stays_strong_whatever_it_is_written_with() {
        for text in [
            "correct-horse staple lantern ocean",
            "correct horse battery staple lantern ocean",
            "nine green bottles on a wall",
            "mountain umbrella teapot",
            "the cat and the dog and the bird",
            "Überraschung im Gemüsegarten",
            "многослов на кухне чайник",
            "青い鳥が静かな湖の上を飛んでいく朝",
            "लाल पतंग आसमान में उड़ी",
            "x;#8(&^v%q)*]!~",
            "7f,Q<r'w>2[k)}_",
            "|<[949L\"!*?|>fT-",
            "*%[*.Y|[Cb()5TOe",
        ] {
            assert!(!is_weak(text), "{text}: {:?}", judge(text, &[]));
        }
    }

    /// The texts and words that the estimator gets.
    fn given_to_the_estimator(password: &str, about: &[&str]) -> Vec<(String, Vec<String>)> {
        let mut given = Vec::new();
        let note = |text: &str, words: &[&str]| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            given.push((text.to_owned(), words));
            // A high estimate, so that the estimator is asked again.
            zxcvbn("mountain umbrella teapot", &[])
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
            let mut work = 0;
            for (given, words) in given_to_the_estimator(&text, &[&name, &address]) {
                let given: Vec<char> = given.chars().collect();
                prop_assert!(given.len() <= LONGEST, "{given:?}");
                work += given.len() * given.len() * readings(&given);
                prop_assert!(words.len() <= MOST_WORDS && words.contains(&"oneseat".to_owned()), "{words:?}");
                prop_assert!(words.iter().all(|word| word.chars().count() <= LONGEST), "{words:?}");
            }
            prop_assert!(work <= 48 * 1_024, "{work}");
        }
    }
}
