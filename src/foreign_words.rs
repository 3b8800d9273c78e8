//! What another program says, made fit for the log: an SMTP server may quote the mail with its link, repeat the credentials, or write
//! anything at all.
//!
//! Plain words, numbers, names of hosts and paths are kept; everything else is left out. So what nobody thought of is left out, too.

/// Characters of it that are kept at most.
const MOST: usize = 200;

/// Letters and digits in a row from which on a word is taken for a token or something encoded.
const LONG: usize = 16;

/// Stands for what was left out.
const LEFT_OUT: &str = "[...]";

/// The words of another program on one line, at most 200 characters, without addresses, links, tokens and `secrets`.
pub fn cleaned(words: &str, secrets: &[String]) -> String {
    let mut words = words.to_owned();
    for secret in secrets.iter().filter(|secret| secret.chars().count() > 3) {
        words = words.replace(secret.as_str(), "#");
    }
    let mut kept = String::new();
    for word in words.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        let word = if is_plain(word) { word } else { LEFT_OUT };
        if kept.chars().count() + word.chars().count() > MOST {
            kept.push_str(" ...");
            break;
        }
        if word == LEFT_OUT && kept.ends_with(LEFT_OUT) {
            continue;
        }
        if !kept.is_empty() {
            kept.push(' ');
        }
        kept.push_str(word);
    }
    kept
}

/// Can it be nothing but a word, a number, the name of a host, or a path?
fn is_plain(word: &str) -> bool {
    const AROUND: [char; 16] = [
        '"', '\'', '`', '(', ')', '[', ']', '<', '>', ',', ';', ':', '.', '!', '?', '*',
    ];
    let core = word.trim_matches(AROUND);
    let is_known = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | ':' | '\'');
    let has_fine_slashes = core.starts_with('/') || !core.contains('/') || core.chars().count() < 8;
    let runs = core.split(|c: char| !c.is_ascii_alphanumeric());
    core.chars().all(is_known)
        && !core.contains("//")
        && has_fine_slashes
        && !runs.into_iter().any(looks_encoded)
}

/// A long row of letters and digits that no language writes: with digits in it, of hexadecimal letters, or of mixed case.
fn looks_encoded(run: &str) -> bool {
    let small_then_large = run
        .as_bytes()
        .windows(2)
        .any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    run.len() >= LONG
        && (run.bytes().any(|byte| byte.is_ascii_digit())
            || run.bytes().all(|byte| byte.is_ascii_hexdigit())
            || small_then_large)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_an_operator_needs_is_kept() {
        for words in [
            "permanent error (550): 5.1.1 mailbox unavailable",
            "Connection error: Network error: Connection refused (os error 111)",
            "connection to server on socket \"/run/postgresql/.s.PGSQL.5432\" failed: FATAL: role \"oneseat\" does not exist",
            "connection to server at \"db.example.org\" (192.0.2.7), port 5432 failed: timeout expired",
            "transient error (451): 4.7.1 greylisted, please try again in 300 seconds",
            "canceling statement due to statement timeout",
            "авторизация не удалась",
        ] {
            assert_eq!(cleaned(words, &[]), words);
        }
    }

    #[test]
    fn what_opens_a_door_is_left_out() {
        let token = "0123456789abcdef".repeat(4);
        for (words, left) in [
            (
                format!("554 spam: https://seat.example.org/reset#{token}"),
                "554 spam: [...]",
            ),
            (
                format!("554 see seat.example.org/reset#{token} please"),
                "554 see [...] please",
            ),
            (
                format!("554 {token}\r\n554 and {}=\r\n{}", &token[..40], &token[40..]),
                "554 [...] 554 and [...]",
            ),
            ("550 <ada@example.org> unknown".to_owned(), "550 [...] unknown"),
            (
                "535 AUTH PLAIN AGFkYQBjb3JyZWN0aG9yc2U= refused".to_owned(),
                "535 AUTH PLAIN [...] refused",
            ),
            (
                "535 hunter2hunter is wrong for mailer".to_owned(),
                "535 [...] is wrong for [...]",
            ),
            (
                "one\ntwo\u{2028}three\u{1b}[31mfour\0five".to_owned(),
                "one two three [31mfour five",
            ),
        ] {
            let secrets = ["hunter2hunter".to_owned(), "mailer".to_owned()];
            assert_eq!(cleaned(&words, &secrets), left);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_said_it_is_one_short_line_without_secrets(
            before in ".{0,300}",
            between in "[ \n\t\"<(]{0,3}",
            after in ".{0,300}",
        ) {
            let token = "9f86d081884c7d659a2feaa0c55ad015".repeat(2);
            let said = format!("{before}{between}{token}{between}hunter2 {between}ada@example.org{between}{after}");
            let kept = cleaned(&said, &["hunter2".to_owned()]);
            prop_assert!(!kept.contains(&token) && !kept.contains("hunter2") && !kept.contains('@'), "{}", kept);
            prop_assert!(kept.chars().count() <= MOST + 4);
            prop_assert!(!kept.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')), "{:?}", kept);
        }
    }
}
