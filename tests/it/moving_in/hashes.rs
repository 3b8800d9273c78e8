//! Hashes of other systems: each is checked once, and then replaced with oneseat's own.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel::prelude::*;
use diesel::sql_types::Text;
use futures_util::StreamExt;
use oneseat::config::Pepper;
use serde_json::{Value, json};

use super::{import, vectors};
use crate::support::{Answer, App, Client};

/// The number of sign-ins at a time: they wait for the two hashing threads.
const AT_ONCE: usize = 2;

const OURS: &str = "select count(*) from users where password_hash like '$argon2id$v=19$m=19456,t=2,p=1$%'";

/// One row for each hash, with numbered addresses.
fn rows(vectors: &[Value]) -> String {
    let row = |(number, vector): (usize, &Value)| {
        let email = email(number);
        format!(
            "{}\n",
            json!({ "email": email, "verified": true, "hash": vector["hash"] })
        )
    };
    vectors.iter().enumerate().map(row).collect()
}

fn email(number: usize) -> String {
    format!("user{number}@example.org")
}

/// Signs in, and tries again after 503: an unoptimised build takes seconds for some of these hashes.
async fn login(visitor: &Client, number: usize, password: &str) -> Answer {
    loop {
        let answer = visitor.login(&email(number), password).await;
        if answer.status != 503 {
            return answer;
        }
    }
}

async fn signs_in_once_with_theirs(visitor: &Client, number: usize, vector: &Value) {
    let password = vector["password"].as_str().unwrap();
    let neighbour = login(visitor, number, &format!("x{password}")).await;
    assert_eq!(neighbour.problem(), "401 invalid_credentials", "{vector}");
    let first = login(visitor, number, password).await;
    assert_eq!(first.status, 200, "{vector}: {first:?}");
    let is_short = password.chars().count() < 15;
    if is_short {
        assert_eq!(first.json()["passwordChangeRecommended"], true, "{vector}");
    }
    let second = login(visitor, number, password).await;
    assert_eq!(second.status, 200, "{vector}: {second:?}");
    let neighbour = login(visitor, number, &format!("x{password}")).await;
    assert_eq!(neighbour.problem(), "401 invalid_credentials", "{vector}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_hash_of_another_system_is_right_once_and_ours_from_then_on() {
    let vectors = vectors();
    let pepper = vectors
        .iter()
        .find_map(|vector| vector["pepper"].as_str())
        .unwrap();
    let app = App::start_with(|config| config.pepper = Some(Pepper::new(pepper).unwrap())).await;
    let (code, out, _) = import(&app, "users.jsonl", &rows(&vectors), &[]);
    assert_eq!(code, 0, "{out}");
    assert_eq!(app.database().number(OURS), 0);
    let visitor = app.visitor();
    futures_util::stream::iter(vectors.iter().enumerate())
        .for_each_concurrent(AT_ONCE, |(number, vector)| {
            signs_in_once_with_theirs(&visitor, number, vector)
        })
        .await;
    let all = i64::try_from(vectors.len()).unwrap();
    assert_eq!(app.database().number(OURS), all);
    // The file may be imported again: a password with a hash of oneseat's does not count as different.
    let (code, out, _) = import(&app, "users.jsonl", &rows(&vectors), &[]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains(&format!("added 0, unchanged {all},")), "{out}");
}

fn plan(app: &App, query: &str) -> String {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
        line: String,
    }
    let explain = diesel::sql_query(format!("explain {query}"));
    let plan: Vec<Line> = explain.load(&mut app.database().connect()).unwrap();
    plan.into_iter().map(|line| line.line + "\n").collect()
}

#[tokio::test]
async fn an_admin_with_the_hash_of_another_system_can_administer() {
    let app = App::start().await;
    import(&app, "users.jsonl", &rows(&vectors()), &[]);
    app.database().execute("update users set role = 'admin'");
    let can = "select count(*) from users where can_administer(users)";
    // PostgreSQL must inline the function: a call for each row takes many times as long.
    let inlined = plan(&app, can);
    assert!(!inlined.contains("can_administer"), "{inlined}");
    let all = i64::try_from(vectors().len()).unwrap();
    assert_eq!(
        app.database().number(can),
        all,
        "each has a hash that can be checked"
    );
    for none in [
        "correct horse",
        "{noop}secret",
        "!",
        "$2b$10$",
        "pbkdf2_md5$1$x$y",
        "$1$salt$hash",
        "",
    ] {
        app.database()
            .execute(&format!("update users set password_hash = '{none}'"));
        assert_eq!(
            app.database().number(can),
            0,
            "{none:?} is no hash that can be checked"
        );
    }
}

#[tokio::test]
async fn a_password_longer_than_a_new_one_may_be_signs_in_and_another_is_asked_for() {
    let app = App::start().await;
    let long = "a made up sentence, ".repeat(40);
    let hash = "{SSHA512}Sm21ZV46uTJAiZ1a/ZVHKFLtm9IoeUrkFCOV9d0p8cMMK8eXAOCmIcsxrj4QsriQxvgTICzbqV8PwNwSZyTKLXNhbHRzYWx0";
    let row = json!({ "email": "ada@example.org", "verified": true, "hash": hash }).to_string();
    let (code, out, _) = import(&app, "users.jsonl", &row, &[]);
    assert_eq!(code, 0, "{out}");
    let answer = app.visitor().login("ada@example.org", &long).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["passwordChangeRecommended"], true);
    let ada = app.visitor().with_token(answer.json()["token"].as_str().unwrap());
    let new = "nine green bottles on a wall";
    let change = json!({ "currentPassword": long, "newPassword": new });
    assert_eq!(ada.post("/auth/password/change", &change).await.status, 200);
    let answer = app.visitor().login("ada@example.org", new).await;
    assert_eq!(answer.json()["passwordChangeRecommended"], false);
    let answer = app.visitor().login("ada@example.org", &"x".repeat(1_025)).await;
    assert_eq!(answer.problem(), "400 bad_request");
}

#[tokio::test]
async fn an_imported_password_made_of_the_users_own_name_is_to_be_replaced() {
    let app = App::start().await;
    let own_name = "mountain umbrella teapot";
    let params = Params::new(8, 1, 1, None).unwrap();
    let theirs = Argon2::new(Algorithm::Argon2i, Version::V0x13, params);
    for (name, email, password, is_below) in [
        (own_name, "ada@example.org", own_name, true),
        (
            "Grace",
            "lantern.harbour@example.org",
            "lantern harbour example",
            true,
        ),
        // It is a fine password for anybody else.
        ("Eve", "eve@example.org", own_name, false),
    ] {
        let hash = theirs.hash_password(password.as_bytes()).unwrap().to_string();
        let row = json!({ "email": email, "name": name, "verified": true, "hash": hash }).to_string();
        let (code, out, _) = import(&app, "users.jsonl", &row, &[]);
        assert_eq!(code, 0, "{out}");
        // The first time by that hash, and then by oneseat's own.
        for _ in 0..2 {
            let answer = app.visitor().login(email, password).await;
            assert_eq!(answer.json()["passwordChangeRecommended"], is_below, "{email}");
        }
    }
    assert_eq!(app.database().number(OURS), 3);
}

/// Hashes that are read and cost what one sign-in may take, each at a bound.
fn within_the_bounds() -> Vec<String> {
    let (b64, hex) = ("A".repeat(43), "ab".repeat(32));
    let of = |bytes: usize| STANDARD.encode(vec![7; bytes]);
    vec![
        format!("$2b$04${}", "a".repeat(53)),
        format!("$2y$14${}", "a".repeat(53)),
        format!("$argon2id$v=19$m=131072,t=4,p=1${b64}${b64}"),
        format!("$argon2id$v=19$m=8,t=64,p=1${b64}${b64}"),
        format!("$argon2id$v=19$m=512,t=1,p=64${b64}${b64}"),
        // Eight bytes of salt, and 16 of hash.
        format!("$argon2id$v=19$m=8,t=1,p=1${}${}", "A".repeat(11), "A".repeat(22)),
        format!("pbkdf2:sha256:1000$salt${}", "ab".repeat(16)),
        format!("pbkdf2:sha256:2000000$salt${hex}"),
        // Two blocks of output.
        format!("pbkdf2:sha256:1000000$salt${}", "ab".repeat(33)),
        format!("pbkdf2:sha512:1000000$salt${}", "ab".repeat(64)),
        format!("pbkdf2:sha512:1000$salt${}", "ab".repeat(128)),
        format!("pbkdf2:sha256:1000${}${hex}", "s".repeat(2_048 - 84)),
        format!("scrypt:2:64:64$salt${hex}"),
        format!("scrypt:524288:2:2$salt${hex}"),
        format!("$P$5{}", "a".repeat(30)),
        format!("$H$I{}", "a".repeat(30)),
        format!("{{SHA}}{}", of(20)),
        format!("{{SSHA}}{}", of(21)),
        format!("{{SHA384}}{}", of(48)),
        format!("{{SSHA512}}{}", of(65)),
        format!("{}:{}", "0".repeat(32), "ab".repeat(64)),
    ]
}

/// Hashes just outside of the bounds: unreadable ones, and dear ones.
fn out_of_bounds() -> (Vec<String>, Vec<String>) {
    let (b64, hex) = ("A".repeat(43), "ab".repeat(32));
    let of = |bytes: usize| STANDARD.encode(vec![7; bytes]);
    let unreadable = vec![
        format!("$2b$4${}", "a".repeat(53)),
        format!("$2b$012${}", "a".repeat(53)),
        format!("$2b$12${}", "a".repeat(54)),
        // A letter of two bytes where the salt ends.
        format!("$2b$12${}\u{e9}{}", "a".repeat(21), "a".repeat(30)),
        format!("$argon2id$v=19$m=8,t=1,p=1${}${}", "A".repeat(11), "A".repeat(20)),
        format!("pbkdf2:sha256:999$salt${hex}"),
        format!("pbkdf2:sha256:1000$salt${}", "ab".repeat(15)),
        format!("pbkdf2:sha512:1000$salt${}", "ab".repeat(129)),
        format!("pbkdf2:sha256:1000${}${hex}", "s".repeat(2_049 - 84)),
        format!("pbkdf2:sha256:1000$sa\tlt${hex}"),
        format!("$P$B{}", "a".repeat(29)),
        format!("$P$B{}", "a".repeat(31)),
        format!("$P$\u{e9}{}", "a".repeat(29)),
        format!("$P$B{}\u{e9}{}", "a".repeat(7), "a".repeat(21)),
        format!("{{SHA}}{}", of(19)),
        format!("{{SHA}}{}", of(21)),
        format!("{{SSHA}}{}", of(20)),
        format!("{{SHA384}}{}", of(49)),
        format!("{{SSHA512}}{}", of(64)),
        format!("{}:{}", "0".repeat(31), "ab".repeat(64)),
        format!("{}:{}", "0".repeat(32), "ab".repeat(65)),
    ];
    let dear = vec![
        format!("$2b$03${}", "a".repeat(53)),
        format!("$2y$15${}", "a".repeat(53)),
        format!("$argon2id$v=19$m=131073,t=1,p=1${b64}${b64}"),
        format!("$argon2id$v=19$m=131072,t=5,p=1${b64}${b64}"),
        format!("$argon2id$v=19$m=8,t=65,p=1${b64}${b64}"),
        format!("$argon2id$v=19$m=520,t=1,p=65${b64}${b64}"),
        format!("pbkdf2:sha256:2000001$salt${hex}"),
        format!("pbkdf2:sha256:1000001$salt${}", "ab".repeat(33)),
        format!("pbkdf2:sha512:1000001$salt${}", "ab".repeat(64)),
        format!("scrypt:2:65:1$salt${hex}"),
        format!("scrypt:2:1:65$salt${hex}"),
        format!("scrypt:2:0:1$salt${hex}"),
        format!("scrypt:2:1:0$salt${hex}"),
        format!("scrypt:1:8:1$salt${hex}"),
        format!("scrypt:524288:2:3$salt${hex}"),
        format!("scrypt:524288:3:1$salt${hex}"),
        format!("$P$4{}", "a".repeat(30)),
        format!("$H$J{}", "a".repeat(30)),
    ];
    (unreadable, dear)
}

#[tokio::test]
async fn a_hash_at_a_bound_is_taken_and_the_next_one_is_refused_with_the_reason() {
    let app = App::start().await;
    let row =
        |(number, hash): (usize, &String)| format!("{}\n", json!({ "email": email(number), "hash": hash }));
    let taken = within_the_bounds();
    let (unreadable, dear) = out_of_bounds();
    let refused = [&unreadable[..], &dear].concat();
    let text: String = refused.iter().chain(&taken).enumerate().map(row).collect();
    let (code, out, _) = import(&app, "users.jsonl", &text, &[]);
    let reasons = std::iter::repeat_n("it cannot be read", unreadable.len()).chain(std::iter::repeat_n(
        "it asks for more memory or passes than one sign-in may take",
        dear.len(),
    ));
    let mut told: Vec<String> = (1..)
        .zip(reasons)
        .map(|(line, reason)| format!("line {line}: refused: the hash is of no use: {reason}"))
        .collect();
    let (added, refused) = (taken.len(), refused.len());
    told.push(format!(
        "added {added}, unchanged 0, left as they are 0, refused {refused}"
    ));
    assert_eq!(
        (code, out.lines().collect::<Vec<_>>()),
        (1, told.iter().map(String::as_str).collect())
    );
}
