//! Guessing is stopped, whether or not there is an account to guess.

use std::time::Duration;

use oneseat::auth::Error;
use oneseat::auth::{Authority, LastAdmin};
use oneseat::users::{Email, Role};
use serde_json::json;

use crate::recovery::start;
use crate::support::{App, MailServer, PASSWORD};

const WRONG: &str = "not the password";

#[tokio::test]
async fn five_wrong_passwords_lock_the_address_for_right_ones_too() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    for _ in 0..5 {
        assert_eq!(
            app.visitor().login("ada@example.org", WRONG).await.problem(),
            "401 invalid_credentials"
        );
    }
    let right = app.visitor().login("ada@example.org", PASSWORD).await;
    assert_eq!(right.problem(), "403 account_locked");
    assert_eq!(
        right.json()["detail"],
        "Account is locked. Please reset your password."
    );
    let wrong = app.visitor().login("ada@example.org", WRONG).await;
    assert_eq!(wrong.words(), right.words());
}

#[tokio::test]
async fn there_is_no_lock_that_admins_are_not_told_of() {
    let app = App::start().await;
    for _ in 0..4 {
        assert_eq!(app.visitor().login("ada@example.org", WRONG).await.status, 401);
    }
    app.database().execute(
        "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'full'; end $$;
         create trigger refuse before insert on feed for each row execute function refuse();",
    );
    assert_eq!(app.visitor().login("ada@example.org", WRONG).await.status, 503);
    app.database().execute("drop trigger refuse on feed");
    let locks = "select count(*) from login_failures where locked_until is not null";
    assert_eq!(app.database().number(locks), 0);
    assert_eq!(app.visitor().login("ada@example.org", WRONG).await.status, 401);
    assert_eq!(app.database().number(locks), 1);
}

/// The seconds until the locks end, rounded up.
fn seconds_left(app: &App) -> i64 {
    let left = "select ceil(extract(epoch from min(locked_until) - clock_timestamp())) from login_failures";
    app.database().number(left)
}

#[tokio::test]
async fn a_locked_address_is_told_how_long_whether_or_not_it_has_an_account() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    for email in ["ada@example.org", "nobody@example.org"] {
        for _ in 0..5 {
            let wrong = app.visitor().login(email, WRONG).await;
            assert_eq!(
                (wrong.status.as_u16(), wrong.header("retry-after")),
                (401, ""),
                "{email}"
            );
        }
    }
    app.database()
        .execute("update login_failures set locked_until = now() + interval '10 minutes'");
    for (email, password) in [
        ("ada@example.org", PASSWORD),
        ("ada@example.org", WRONG),
        ("nobody@example.org", WRONG),
    ] {
        let at_first = seconds_left(&app);
        let locked = app.visitor().login(email, password).await;
        assert_eq!(locked.problem(), "403 account_locked");
        let left: i64 = locked.header("retry-after").parse().unwrap();
        let right = seconds_left(&app)..=at_first;
        assert!(right.contains(&left), "{email}: {left} is not in {right:?}");
    }
}

#[tokio::test]
async fn a_change_of_password_or_address_at_a_locked_address_is_told_how_long_too() {
    let mails = MailServer::start();
    let app = start(&mails).await;
    let ada = app.signed_in("ada").await;
    for _ in 0..5 {
        app.visitor().login("ada@example.org", WRONG).await;
    }
    app.database()
        .execute("update login_failures set locked_until = now() + interval '10 minutes'");
    for (path, change) in [
        (
            "/auth/password/change",
            json!({ "currentPassword": PASSWORD, "newPassword": "nine green bottles on a wall" }),
        ),
        (
            "/auth/email/change",
            json!({ "currentPassword": PASSWORD, "email": "countess@example.org" }),
        ),
    ] {
        let locked = ada.post(path, &change).await;
        assert_eq!(locked.problem(), "403 account_locked", "{path}");
        let left: i64 = locked.header("retry-after").parse().expect(path);
        assert!((450..=600).contains(&left), "{path}: {left}");
    }
}

#[tokio::test]
async fn an_address_is_locked_after_as_many_failures_and_for_as_long_as_an_operator_says() {
    for most in [1, 2] {
        let app = App::start_with(|config| {
            config.policy.lockout.max_failed_attempts = most;
            config.policy.lockout.duration = Duration::from_secs(2 * 60 * 60);
        })
        .await;
        app.add_user("ada", Role::User).await;
        for email in ["ada@example.org", "nobody@example.org"] {
            let failures = async || {
                for _ in 0..most {
                    let wrong = app.visitor().login(email, WRONG).await;
                    assert_eq!(wrong.problem(), "401 invalid_credentials", "{email} {most}");
                }
                let locked = app.visitor().login(email, WRONG).await;
                assert_eq!(locked.problem(), "403 account_locked", "{email} {most}");
                let left: i64 = locked.header("retry-after").parse().unwrap();
                assert!((7_000..=7_200).contains(&left), "{email} {most}: {left}");
            };
            failures().await;
            // The next lock takes as many, and lasts as long.
            app.database()
                .execute("update login_failures set locked_until = now() - interval '1 second'");
            failures().await;
        }
    }
}

#[tokio::test]
async fn an_address_without_an_account_is_locked_alike() {
    let app = App::start().await;
    for _ in 0..5 {
        assert_eq!(app.visitor().login("nobody@example.org", WRONG).await.status, 401);
    }
    assert_eq!(
        app.visitor().login("nobody@example.org", WRONG).await.problem(),
        "403 account_locked"
    );
}

#[tokio::test]
async fn all_spellings_of_an_address_share_one_count() {
    let app = App::start().await;
    for spelling in ["a@x.org", "A@x.org", " a@X.org ", "a@x.ORG", "A@X.ORG\n"] {
        assert_eq!(app.visitor().login(spelling, WRONG).await.status, 401);
    }
    assert_eq!(
        app.visitor().login("a@x.org", WRONG).await.problem(),
        "403 account_locked"
    );
    assert_eq!(app.database().number("select count(*) from login_failures"), 1);
}

#[tokio::test]
async fn a_success_clears_the_count() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(app.visitor().login("ada@example.org", WRONG).await.status, 401);
        }
        assert_eq!(app.visitor().login("ada@example.org", PASSWORD).await.status, 200);
    }
    assert_eq!(app.database().number("select count(*) from login_failures"), 0);
    // What is counted for others stays.
    app.visitor().login("nobody@example.org", WRONG).await;
    assert_eq!(app.visitor().login("ada@example.org", PASSWORD).await.status, 200);
    assert_eq!(app.database().number("select count(*) from login_failures"), 1);
}

#[tokio::test]
async fn a_lock_ends_by_time_and_the_count_starts_anew() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    for _ in 0..5 {
        app.visitor().login("ada@example.org", WRONG).await;
    }
    let lasts = "select extract(epoch from locked_until - now()) from login_failures";
    assert!((800..=900).contains(&app.database().number(lasts)));
    app.database()
        .execute("update login_failures set locked_until = now() - interval '1 second'");
    assert_eq!(
        app.visitor().login("ada@example.org", WRONG).await.problem(),
        "401 invalid_credentials"
    );
    assert_eq!(
        app.database()
            .number("select failed_attempts from login_failures"),
        1
    );
    assert_eq!(app.visitor().login("ada@example.org", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_lock_does_not_end_a_live_session() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    for _ in 0..6 {
        app.visitor().login("ada@example.org", WRONG).await;
    }
    assert_eq!(ada.session().await.status, 200);
}

#[tokio::test]
async fn an_operator_lifts_a_lock() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    for _ in 0..5 {
        app.visitor().login("ada@example.org", WRONG).await;
    }
    assert!(
        app.auth
            .unlock("ada@example.org".parse::<Email>().unwrap())
            .await
            .unwrap()
    );
    assert_eq!(app.visitor().login("ada@example.org", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_hundred_parallel_wrong_guesses_stop_at_the_limit() {
    let app = App::start().await;
    let other = app.another_instance().await;
    app.add_user("ada", Role::User).await;
    let guesses = (0..100).map(|n| {
        let visitor = if n % 2 == 0 {
            app.visitor()
        } else {
            other.visitor()
        };
        tokio::spawn(async move {
            loop {
                let answer = visitor.login("ada@example.org", WRONG).await.problem();
                // On a busy machine a request may time out; then nothing was decided.
                if answer != "503 unavailable" {
                    return answer;
                }
            }
        })
    });
    let mut refused = 0;
    for guess in guesses.collect::<Vec<_>>() {
        match guess.await.unwrap().as_str() {
            "401 invalid_credentials" => refused += 1,
            other => assert_eq!(other, "403 account_locked"),
        }
    }
    assert_eq!(refused, 5);
    assert_eq!(
        app.database()
            .number("select failed_attempts from login_failures"),
        5
    );
}

#[tokio::test]
async fn a_new_password_lifts_the_lock() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    for _ in 0..5 {
        app.visitor().login("ada@example.org", WRONG).await;
    }
    let new = oneseat::users::Password::chosen("another long password", &[]).unwrap();
    app.auth
        .set_password("ada@example.org".parse::<Email>().unwrap(), new)
        .await
        .unwrap();
    assert_eq!(ada.session().await.problem(), "401 session_ended");
    assert_eq!(app.visitor().login("ada@example.org", PASSWORD).await.status, 401);
    assert_eq!(
        app.visitor()
            .login("ada@example.org", "another long password")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn only_known_accounts_can_be_changed() {
    let app = App::start().await;
    let unknown = app
        .auth
        .disable(
            "nobody@example.org".parse::<Email>().unwrap(),
            Authority::Operator,
            LastAdmin::MayGo,
        )
        .await;
    assert!(matches!(unknown, Err(Error::NoSuchUser(_))));
}
