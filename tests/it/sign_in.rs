//! Signing in: who may, who may not, and the answers.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use oneseat::auth::{Authority, LastAdmin};
use oneseat::users::{Email, Role};
use serde_json::json;

use crate::support::{App, PASSWORD, Program};

#[tokio::test]
async fn a_login_creates_a_single_session() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let answer = app.visitor().login("ada@example.org", PASSWORD).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    assert_eq!(body["token"].as_str().unwrap().len(), 64);
    assert_eq!(body["user"]["email"], "ada@example.org");
    assert_eq!(body["user"]["role"], "user");
    assert!(body["expiresAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(app.sessions(), 1);
}

#[tokio::test]
async fn a_second_login_ends_the_first() {
    let app = App::start().await;
    let first = app.signed_in("ada").await;
    let second = app.visitor().sign_in("ada@example.org").await;
    assert_eq!(first.session().await.problem(), "401 session_ended");
    assert_eq!(second.session().await.status, 200);
    assert_eq!(app.sessions(), 1);
}

#[tokio::test]
async fn a_second_login_holds_on_the_very_next_request_at_another_instance() {
    let app = App::start().await;
    let other = app.another_instance().await;
    let mut older = app.signed_in("ada").await.at(other.address);
    for _ in 0..10 {
        // The other instance remembers the session from now on.
        assert_eq!(older.session().await.status, 200);
        let newer = app.visitor().sign_in("ada@example.org").await;
        assert_eq!(older.session().await.problem(), "401 session_ended");
        older = newer.at(other.address);
    }
}

#[tokio::test]
async fn of_many_logins_only_the_last_token_works() {
    let app = App::start().await;
    let mut older = vec![app.signed_in("ada").await];
    for _ in 0..99 {
        older.push(app.visitor().sign_in("ada@example.org").await);
    }
    let last = older.pop().unwrap();
    for client in older {
        assert_eq!(client.session().await.problem(), "401 session_ended");
    }
    assert_eq!(last.session().await.status, 200);
}

#[tokio::test]
async fn users_do_not_end_each_other() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let grace = app.signed_in("grace").await;
    assert_eq!(ada.session().await.status, 200);
    assert_eq!(grace.session().await.status, 200);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_are_one_answer() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let wrong = app.visitor().login("ada@example.org", "not the password").await;
    let unknown = app
        .visitor()
        .login("nobody@example.org", "not the password")
        .await;
    assert_eq!(wrong.problem(), "401 invalid_credentials");
    assert_eq!(wrong.header("www-authenticate"), r#"Bearer realm="oneseat""#);
    assert_eq!(wrong.words(), unknown.words());
    let names = |answer: &crate::support::Answer| {
        let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        names.sort();
        names
    };
    assert_eq!(names(&wrong), names(&unknown));
    assert_eq!(app.sessions(), 0);
}

#[tokio::test]
async fn case_and_white_space_of_the_address_do_not_matter() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    assert_eq!(
        app.visitor().login(" ADA@Example.ORG ", PASSWORD).await.status,
        200
    );
}

#[tokio::test]
async fn an_unverified_user_is_told_so_only_after_the_right_password() {
    let app = App::start().await;
    app.add_unverified_user("ada").await;
    let wrong = app.visitor().login("ada@example.org", "not the password").await;
    assert_eq!(wrong.problem(), "401 invalid_credentials");
    let right = app.visitor().login("ada@example.org", PASSWORD).await;
    assert_eq!(right.problem(), "403 email_unverified");
    assert_eq!(
        right.json()["detail"],
        "Please verify your email before logging in"
    );
    assert_eq!(app.sessions(), 0);
}

#[tokio::test]
async fn a_disabled_user_is_told_so_only_after_the_right_password() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    app.auth
        .disable(
            "ada@example.org".parse::<Email>().unwrap(),
            Authority::Operator,
            LastAdmin::MayGo,
        )
        .await
        .unwrap();
    assert_eq!(ada.session().await.problem(), "401 session_ended");
    let wrong = app.visitor().login("ada@example.org", "not the password").await;
    assert_eq!(wrong.problem(), "401 invalid_credentials");
    // That the address is not verified either would be no help: nobody who verifies it can sign in.
    for also in ["", ", email_verified = false"] {
        app.database()
            .execute(&format!("update users set disabled_at = now(){also}"));
        let right = app.visitor().login("ada@example.org", PASSWORD).await;
        assert_eq!(right.problem(), "403 account_disabled", "{also}");
    }
}

#[tokio::test]
async fn a_user_without_a_password_cannot_sign_in() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    app.database().execute("update users set password_hash = null");
    assert_eq!(
        app.visitor().login("ada@example.org", PASSWORD).await.problem(),
        "401 invalid_credentials"
    );
}

#[tokio::test]
async fn a_weaker_stored_hash_is_replaced_at_sign_in() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    app.weaken_hashes();
    let is_weak = "select count(*) from users where password_hash like '%m=8,%'";
    assert_eq!(
        app.visitor()
            .login("ada@example.org", "not the password")
            .await
            .status,
        401
    );
    assert_eq!(app.database().number(is_weak), 1);
    assert_eq!(app.visitor().login("ada@example.org", PASSWORD).await.status, 200);
    assert_eq!(app.database().number(is_weak), 0);
    assert_eq!(app.visitor().login("ada@example.org", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn where_a_sign_in_came_from_is_recorded_and_never_refused() {
    let app = App::start_with(|config| config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await;
    app.add_user("ada", Role::User).await;
    for (forwarded, agent, address) in [
        ("203.0.113.9", "x".repeat(9_000), "203.0.113.9"),
        ("garbage", "<script>alert(1)</script>".to_owned(), "127.0.0.1"),
        ("::ffff:1.2.3.4", "tab\there".to_owned(), "1.2.3.4"),
        ("6.6.6.6, 2001:db8::7", "ü".to_owned(), "2001:db8::7"),
    ] {
        let login = app
            .visitor()
            .request(reqwest::Method::POST, "/auth/login")
            .header("X-Forwarded-For", forwarded)
            .header(
                "User-Agent",
                reqwest::header::HeaderValue::from_bytes(agent.as_bytes()).unwrap(),
            )
            .json(&json!({ "email": "ada@example.org", "password": PASSWORD }));
        let answer = crate::support::Answer::of(login).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let token = answer.json()["token"].as_str().unwrap().to_owned();
        let session = app.visitor().with_token(token).session().await.json();
        assert_eq!(session["session"]["ipAddress"], address);
        assert!(session["session"]["userAgent"].as_str().unwrap().chars().count() <= 512);
    }
}

#[tokio::test]
async fn a_forwarded_address_counts_only_from_a_trusted_proxy() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let login = app
        .visitor()
        .request(reqwest::Method::POST, "/auth/login")
        .header("X-Forwarded-For", "203.0.113.9")
        .json(&json!({ "email": "ada@example.org", "password": PASSWORD }));
    let token = crate::support::Answer::of(login).await.json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let session = app.visitor().with_token(token).session().await.json();
    assert_eq!(session["session"]["ipAddress"], "127.0.0.1");
}

#[tokio::test]
async fn fields_nobody_asked_for_have_no_effect() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let body = json!({ "email": "ada@example.org", "password": PASSWORD, "role": "admin", "user": { "role": "admin" } });
    let answer = app.visitor().post("/auth/login", &body).await;
    assert_eq!(answer.json()["user"]["role"], "user");
    assert_eq!(
        app.database()
            .number("select count(*) from users where role = 'admin'"),
        0
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn whatever_is_stored_for_an_address_a_wrong_password_costs_the_same() {
    let app = App::start().await;
    let weak = Argon2::new(
        Algorithm::Argon2id,
        Version::V0x13,
        Params::new(8, 1, 1, None).unwrap(),
    );
    let weak = format!("'{}'", weak.hash_password(PASSWORD.as_bytes()).unwrap());
    let foreign = format!("'{BCRYPT}'");
    let peppered = format!("'{{devise}}{BCRYPT}'");
    let kinds = [
        ("ada", "password_hash"),
        ("none", "null"),
        ("unreadable", "'md5 of something'"),
        ("foreign", foreign.as_str()),
        ("weak", weak.as_str()),
        ("peppered", peppered.as_str()),
        ("dear", "replace(password_hash, 'm=19456,t=2', 'm=4194304,t=50')"),
        ("nobody", ""),
    ];
    for (name, hash) in kinds.iter().filter(|(name, _)| *name != "nobody") {
        app.add_user(name, Role::User).await;
        app.database().execute(&format!(
            "update users set password_hash = {hash} where name = '{name}'"
        ));
    }
    // A separate process, so that its processor time is its own.
    let program = Program::over(app.database().url());
    let mut costs = [0; 8];
    for _ in 0..6 {
        for (cost, (name, _)) in costs.iter_mut().zip(kinds) {
            let before = hashing_time(program.pid());
            let email = format!("{name}@example.org");
            let answer = program.visitor().login(&email, "not the password").await;
            assert_eq!(answer.problem(), "401 invalid_credentials", "{name}");
            *cost += hashing_time(program.pid()) - before;
        }
        app.database().execute("delete from login_failures");
    }
    let usual = costs[0];
    for ((name, _), cost) in kinds.iter().zip(costs) {
        assert!(
            usual > 0 && cost * 2 > usual && usual * 2 > cost,
            "{name}: {cost} ns, and {usual} ns"
        );
    }

    // Nothing is hashed while an address is locked, with an account or without, not even for its own user.
    let ada = program.visitor().sign_in("ada@example.org").await;
    app.database().execute(
        "insert into login_failures (email_digest, failed_attempts, locked_until)
         select email_digest(name || '@example.org'), 5, now() + interval '1 hour'
             from (select name from users union all select 'nobody') as people",
    );
    let before = hashing_time(program.pid());
    for (name, _) in kinds {
        let email = format!("{name}@example.org");
        let answer = program.visitor().login(&email, "not the password").await;
        assert_eq!(answer.problem(), "403 account_locked", "{name}");
        let cost = hashing_time(program.pid()) - before;
        assert!(cost * 20 < usual, "{name}: {cost} ns, and {usual} ns for six");
    }
    let change =
        json!({ "currentPassword": "not the password", "newPassword": "nine green bottles on a wall" });
    let answer = ada.post("/auth/password/change", &change).await;
    assert_eq!(answer.problem(), "403 account_locked");
    let cost = hashing_time(program.pid()) - before;
    assert!(cost * 20 < usual, "a change: {cost} ns, and {usual} ns for six");
}

/// A hash of bcrypt at its lowest cost.
#[cfg(target_os = "linux")]
const BCRYPT: &str = "$2b$04$9O1lOmCIf9lrHTp1TECT9u2.F.DJ.FhuI8qf2cLDE3jBQUquwLXHO";

/// The processor time of the hashing threads of a process, in nanoseconds: it does not depend on how busy the
/// machine is.
#[cfg(target_os = "linux")]
fn hashing_time(pid: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let hashers = threads.filter(|thread| {
        std::fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name.trim() == "hasher")
    });
    hashers
        .map(|thread| {
            let used = std::fs::read_to_string(thread.path().join("schedstat")).unwrap();
            used.split(' ').next().unwrap().parse::<u64>().unwrap()
        })
        .sum()
}
