//! Tests how refusals are counted and told.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::*;
use crate::captured_log;
use crate::sessions::EndReason;

/// The counts are global, so these tests run one at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    captured_log::start();
    tell_counted();
    captured_log::lines();
    alone
}

#[test]
fn a_storm_is_a_few_lines_and_a_sum_that_names_what_it_is_about() {
    let _alone = alone();
    let origin = Origin::new("2001:db8::7".parse().unwrap(), None);
    let email: Email = "ada@example.org".parse().unwrap();
    let ending = Ending {
        user: Uuid::new_v4(),
        session: Uuid::nil(),
        reason: EndReason::Replaced,
        at: Utc::now(),
    };
    let storm = || {
        for _ in 0..1_000 {
            password_refused(Attempt::SignIn, &email, &Error::AccountLocked, &origin);
            password_refused(
                Attempt::SignIn,
                &email,
                &Error::Unavailable("5 new words".to_owned()),
                &origin,
            );
            too_many_tries("/auth/login", &origin);
            client_refused(Uuid::nil(), &origin);
            link_requested(&email, Mail::PasswordReset, &origin);
            link_refused(&email, Mail::PasswordReset, &origin);
            mail_not_sent(Mail::PasswordReset, "5d2c0e", "no account");
            identity_claimed(Uuid::nil(), "remote-user", &origin);
            shown_after_end(Uuid::nil(), &ending, &origin);
        }
    };
    storm();
    let lines = captured_log::lines();
    assert_eq!(lines.len(), 9 * 5, "{lines:#?}");
    tell_counted();
    let sums = captured_log::lines();
    let told = |words: &[&str]| {
        sums.iter()
            .filter(|sum| words.iter().all(|words| sum.contains(words)))
            .count()
    };
    let name = format!("address={}", email.short_digest());
    for words in [
        &[
            "WARN authn_login_fail",
            &name,
            "reason=\"account is locked\"",
            "first=20",
        ][..],
        &["WARN authn_login_fail", &name, "reason=unavailable"],
        &["WARN authn_login_fail", "client=00000000-"],
        &["WARN excess_rate_limit_exceeded", "what=/auth/login"],
        &[
            "WARN excess_rate_limit_exceeded",
            &name,
            "what=link",
            "kind=password_reset",
        ],
        &["INFO link_requested", &name, "kind=password_reset"],
        &[
            "WARN malicious_extraneous",
            "user=00000000-",
            "header=remote-user",
        ],
        &[
            "WARN session_use_after_expire",
            "session=00000000-",
            "reason=replaced",
            "client=00000000-",
        ],
    ] {
        let words = [words, &["count=995", "from=2001:db8::/64", " last=20"]].concat();
        assert_eq!(told(&words), 1, "{words:?} in {sums:#?}");
    }
    assert_eq!(
        told(&["INFO mail_not_sent", "address=5d2c0e", "count=995"]),
        1,
        "{sums:#?}"
    );
    tell_counted();
    assert_eq!(captured_log::lines(), [""; 0]);
}

#[test]
fn every_call_that_a_user_may_not_make_is_in_a_line_however_often_another_was_tried() {
    let _alone = alone();
    let origin = Origin::new("192.0.2.7".parse().unwrap(), None);
    let resource = |route: &str, id: u32| Resource {
        path: route.replace("{id}", &id.to_string()),
        route: route.to_owned(),
    };
    for n in 0..9 {
        forbidden(Uuid::nil(), &resource("/api/admin/sessions", n), &origin);
    }
    for n in 0..9 {
        forbidden(Uuid::nil(), &resource("/api/admin/users/{id}", n), &origin);
    }
    let lines = captured_log::lines();
    assert_eq!(lines.len(), 6, "{lines:#?}");
    assert!(lines[5].contains(" resource=/api/admin/users/0 "), "{lines:#?}");
    tell_counted();
    let sums = captured_log::lines();
    for (resource, count) in [("/api/admin/sessions", 4), ("/api/admin/users/{id}", 8)] {
        let words = [format!(" count={count} "), format!(" resource={resource} ")];
        let is_it = |sum: &&String| words.iter().all(|words| sum.contains(words));
        assert_eq!(sums.iter().filter(is_it).count(), 1, "{words:?} in {sums:#?}");
    }
}
