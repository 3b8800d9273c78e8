//! Tests what is kept of other programs' words, and what never is.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::secrets::comparable;
use super::*;
use crate::token::Token;

#[test]
fn what_helps_an_operator_stays() {
    for words in [
        "permanent error (554): 5.7.1 Relay access denied",
        "transient error (451): 4.7.1 Greylisted, please try again in 300 seconds",
        "permanent error (550): 5.2.2 Mailbox full; queued as 9F2A41C0B7",
        "transient error (421): 4.3.2 Too many connections",
        "Connection error: Connection refused (os error 111)",
        "invalid peer certificate: certificate not valid for name \"mail.example.org\"",
        "received fatal alert: HandshakeFailure",
        "duplicate key value violates unique constraint \"one_time_links_token_digest_key\"",
        "connection to server on socket \"/run/postgresql/.s.PGSQL.5432\" failed: No such file or directory",
        "connection to server at \"db.example.org\" (192.0.2.7), port 5432 failed: FATAL: password \
         authentication failed for user \"oneseat\"",
        "FATAL: der Verbindungsaufbau für Benutzer »oneseat« schlug fehl: 接続できません",
        "canceling statement due to statement timeout",
    ] {
        assert_eq!(cleaned(words), words);
    }
}

#[test]
fn a_plain_word_that_quoted_printable_has_broken_is_whole_again() {
    assert_eq!(cleaned("550 mail=\r\nbox full"), "550 mailbox full");
}

#[test]
fn lines_become_one_and_what_cannot_be_printed_is_left_out() {
    let words = "FATAL:  no\r\n\tway\u{2028}out \u{2029}of\u{85} \u{1b}[31mhere\u{202e}\u{0}\u{feff}";
    assert_eq!(cleaned(words), "FATAL: no way out of [31mhere");
}

#[test]
fn what_opens_a_door_is_left_out_however_it_is_quoted() {
    let token = "0123456789abcdef".repeat(4);
    let (one, two) = token.split_at(56);
    for (words, left) in [
        (
            "550 5.1.1 <ada@example.org>: unknown".to_owned(),
            "550 5.1.1 [...] unknown",
        ),
        (
            "Key (email)=(ada@example.org) already exists.".to_owned(),
            "Key [...] already exists.",
        ),
        (
            "for ada=40example.org and ada%40example.org".to_owned(),
            "for [...] and [...]",
        ),
        (
            "for ada\u{ff20}example.org or ada&#64;example.org".to_owned(),
            "for [...] or [...]",
        ),
        (
            "see https://mail.example.org/why?p=1 for more".to_owned(),
            "see [...] for more",
        ),
        (
            "at localhost:8080/reset#abc it says".to_owned(),
            "at [...] it says",
        ),
        (
            "at localhost:8080/reset%23abc it says".to_owned(),
            "at [...] it says",
        ),
        (
            "554 href=3D\"http:=\r\n//localhost/reset#abc=\r\ndef\"> it says".to_owned(),
            "554 [...] it says",
        ),
        (
            format!("554 spam: https://seat.example.org/reset#{token}"),
            "554 spam: [...]",
        ),
        (
            format!("(554): {token}\r\n554 and {one}=\r\n{two}"),
            "(554): [...] and [...]",
        ),
        (format!("554 {one}\r\n> {two}\r\nit says"), "554 [...] it says"),
        (
            "535 AUTH PLAIN AGFkYQBjb3JyZWN0aG9yc2U=, refused".to_owned(),
            "535 AUTH PLAIN [...] refused",
        ),
        (
            "invalid hash $argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".to_owned(),
            "invalid hash [...]",
        ),
    ] {
        assert_eq!(cleaned(&words), left, "{words}");
    }
}

#[test]
fn credentials_are_taken_out_in_the_forms_in_which_they_travel() {
    let plain = STANDARD.encode("\0mailer\0pass w+rd");
    for url in [
        "smtps://mailer:pass%20w+rd@mail.example.org?tls=required",
        "postgres://mailer:pass%20w+rd@db.example.org/oneseat",
        "postgres://mailer@db.example.org/oneseat?sslmode=require&password=pass%20w+rd",
    ] {
        let secrets = Secrets::of_url(url);
        for said in [
            "PASS W+RD",
            "pass%20w+rd",
            "mailer",
            &plain,
            &STANDARD.encode("pass w+rd"),
            &STANDARD.encode("mailer"),
            &hex::encode("pass w+rd"),
        ] {
            let left = secrets.cleaned(&format!("no {said} no mail"));
            assert_eq!(left, "no [...] no mail", "{said}");
        }
    }
    let secrets = Secrets::of_url("smtps://mailer:%23%24%25%5E%26%2A%28%29_%2B%21~@mail.example.org");
    for said in ["#$%^&*()_+!~", "#$%^&*\r\n535 ()_+!~", "#$%^&*=\r\n()_+!~"] {
        let left = secrets.cleaned(&format!("no {said} no mail"));
        assert!(left.starts_with("no ") && left.ends_with(" no mail"), "{left}");
        assert!(
            !left.contains("#$%^&*()_+!~") && !left.contains("#$%^&*()"),
            "{left}"
        );
    }
    assert_eq!(secrets.cleaned("no #$%^&*()_+!~, no mail!"), "no [...], no mail!");
    // A sign of the password may stand where quoted-printable would break a line.
    let secrets = Secrets::default().and("#$=%^");
    assert_eq!(secrets.cleaned("no #$= %^ no mail"), "no [...] no mail");
    let secrets = Secrets::of_url("host=db.example.org password=hunter2 user=mailer");
    assert_eq!(
        secrets.cleaned("bad \"hunter2\" at db.example.org"),
        "bad \"[...]\" at db.example.org"
    );
    assert_eq!(format!("{secrets:?}"), "Secrets(..)");
}

#[test]
fn a_stranger_decides_neither_how_much_is_told_nor_how_much_is_read() {
    assert_eq!(cleaned(&"no ".repeat(10_000)).chars().count(), MOST);
    let longest = "somewhere ".repeat(19) + "everywhere";
    assert_eq!(cleaned(&longest), longest);
    assert_eq!(
        cleaned(&format!("{longest}s")),
        format!("{}...", &longest[..MOST - 3])
    );
    assert_ne!(cleaned(&"x".repeat(LOOKED_AT)), "");
    assert_eq!(cleaned(&"x".repeat(LOOKED_AT + 1)), "");
    let half = format!("{} hunter2", " ".repeat(LOOKED_AT - 5));
    assert_eq!(Secrets::of_url("x://u:hunter2@h").cleaned(&half), "");
}

/// Folds as servers do, `width` characters per line.
fn folded(words: &str, width: usize, between: &str) -> String {
    let chars: Vec<char> = words.chars().collect();
    let lines: Vec<String> = chars.chunks(width).map(|line| line.iter().collect()).collect();
    lines.join(between)
}

/// Separators that a server may put into its quotes.
fn between() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        " ", "\r\n", "=\r\n", "= ", "\r\n> ", "\t", "\u{2028}", "\n | ",
    ])
}

fn is_bounded_line(left: &str) -> bool {
    left.chars().count() <= MOST
        && left
            .chars()
            .all(|c| c == ' ' || !c.is_whitespace() && is_printable(c))
}

proptest! {
    #[test]
    fn whatever_is_said_becomes_one_bounded_line(words in any::<String>(), secret in any::<String>()) {
        let left = Secrets::default().and(&secret).cleaned(&words);
        prop_assert!(is_bounded_line(&left), "{left:?}");
        // Cleaning again changes nothing.
        prop_assert!(is_bounded_line(&cleaned(&left)));
    }

    #[test]
    fn a_known_secret_never_comes_out_however_it_is_folded(
        before in "[ -~\n]{0,60}",
        secret in "[!-~]{1,40}|[!-/:-@\\[-`{-~]{1,40}",
        after in any::<String>(),
        width in 1..100_usize,
        between in between(),
    ) {
        let secrets = Secrets::default().and(&secret);
        let left = secrets.cleaned(&format!("{before}{}{after}", folded(&secret, width, between)));
        // The marks of omission and of cutting are signs, too.
        let left = left.replace(LEFT_OUT, " ");
        prop_assert!(!left.trim_end_matches("...").contains(&secret), "{left}");
        for encoded in [STANDARD.encode(&secret), hex::encode(&secret)] {
            let left = secrets.cleaned(&format!("{before} {} {after}", folded(&encoded, width, between)));
            prop_assert!(!left.contains(&encoded), "{left}");
        }
    }

    #[test]
    fn a_link_that_nobody_knew_of_never_comes_out(
        before in "[ -~]{0,40}",
        after in "[ -~]{0,40}",
        path in "[a-z]{1,12}",
        width in 8..100_usize,
        between in between(),
    ) {
        let token = Token::generate().unwrap();
        let link = format!("{before} http://localhost:8080/{path}#{} {after}", token.reveal());
        let left = cleaned(&folded(&link, width, between));
        let token = token.reveal();
        // No part is left that would make the rest easier to guess.
        for part in token.as_bytes().windows(16) {
            prop_assert!(!left.contains(std::str::from_utf8(part).unwrap()), "{left}");
        }
        let digits = comparable(&left);
        for part in comparable(&token).windows(16) {
            prop_assert!(!digits.windows(16).any(|window| window == part), "{left}");
        }
    }

    #[test]
    fn a_key_that_nobody_knew_of_never_comes_out(
        bytes in prop::collection::vec(any::<u8>(), 24..64),
        before in "[ -~]{0,40}",
    ) {
        for key in [hex::encode(&bytes), STANDARD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            let left = cleaned(&format!("{before} {key}"));
            prop_assert!(!left.contains(&key), "{left}");
        }
    }

    #[test]
    fn an_address_never_comes_out(
        before in "[ -~]{0,40} ",
        local in "[a-z0-9._+-]{1,20}",
        domain in "[a-z0-9-]{1,12}(\\.[a-z]{2,5}){0,2}",
        around in prop::sample::select(vec!["<>", "()", "\"\"", "'\'", "[]", "= "]),
    ) {
        let address = format!("{local}@{domain}");
        let left = cleaned(&format!("{before}{}{address}{}", &around[..1], &around[1..]));
        prop_assert!(!left.contains(&address), "{left}");
    }
}
