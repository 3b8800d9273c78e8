//! What a search overlooks, and how many rows it finds among many.

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use diesel_migrations::MigrationHarness;
use oneseat::auth::fill_in_plain_names;
use oneseat::auth::lists::plain_letters;
use oneseat::db::migrations::{self, MIGRATIONS};
use oneseat::users::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, Client, Database, PASSWORD};

/// As a part of an address.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// In the databases of the tests PostgreSQL knows 26 letters, like in the private one; in the other, I is Turkish.
#[tokio::test]
async fn a_search_overlooks_case_and_marks_in_every_script_whatever_the_locale() {
    for database in [Database::fresh(), Database::turkish()] {
        let app = App::start_on(database).await;
        let admin = app.admin().await;
        let names = [
            "ZOË MÜLLER",
            "Irina Straße",
            "ΟΔΥΣΣΕΥΣ",
            "Жанна",
            "İlhan Işık",
            "Łukasz Öberg",
            "Jose\u{301} Nguyễn",
            "Bjørn Þórðarson",
        ];
        for (number, name) in names.iter().enumerate() {
            let who = format!("user{number}");
            app.signed_in(&who).await;
            app.database().execute(&format!(
                "update users set name = '{name}' where email = '{who}@example.org'"
            ));
        }
        app.database().execute(
            "insert into users (name, email) values ('N', 'jörg@example.net'), ('ij', 'ıı@example.net')",
        );
        for (q, count) in [
            ("müller", 1),
            ("mu\u{308}ller", 1),
            ("Zoë", 1),
            ("IRINA", 1),
            ("irina", 1),
            ("STRASSE", 1),
            ("οδυσσευς", 1),
            ("ΣΕΥΣ", 1),
            ("жАННа", 1),
            ("ilhan", 1),
            ("İLHAN", 1),
            ("USER3", 0),
            // Letters with marks are their plain letters, in what is looked for and in what is found.
            ("zoe", 1),
            ("mull", 1),
            ("mu\u{308}ll", 1),
            ("MŪLL", 1),
            ("isik", 1),
            ("οδύσσευς", 1),
            ("жанна\u{301}", 1),
            ("oberg", 1),
            ("Öberg", 1),
            ("lukasz", 1),
            ("Łukasz öBERG", 1),
            ("jose", 1),
            ("José", 1),
            ("jose\u{301}", 1),
            ("nguyen", 1),
            ("Nguye\u{302}\u{303}n", 1),
            ("bjorn thordarson", 1),
            ("bjoern", 0),
            // Marks alone are no letters, and do not find everybody.
            ("\u{301}", 0),
        ] {
            let query = encoded(q);
            for list in ["/api/admin/sessions", "/api/admin/users"] {
                let asked = admin.request(Method::GET, &format!("{list}?q={query}"));
                let body = Answer::of(asked).await.json();
                // Addresses are searched, too.
                let count = if q == "USER3" { 1 } else { count };
                assert_eq!(body["total"], count, "{q} {list}");
            }
        }
        let of_accounts = [("JÖRG@EXAMPLE", 1), ("ıı@EX", 1), ("II@EX", 1)];
        for (q, count) in of_accounts {
            let query = encoded(q);
            let asked = admin.request(Method::GET, &format!("/api/admin/users?q={query}"));
            assert_eq!(Answer::of(asked).await.json()["total"], count, "{q}");
        }
        for capital in [
            "JÖRG@example.org",
            "É@example.org",
            "IRINA@example.org",
            "İ@example.org",
        ] {
            let account = format!("insert into users (name, email) values ('N', '{capital}')");
            let refused = app.database().connect().batch_execute(&account).unwrap_err();
            assert!(
                refused.to_string().contains("users_email_in_normal_form"),
                "{refused}"
            );
        }
    }
}

#[test]
fn postgresql_knows_the_lower_case_of_every_letter() {
    let one = |letter: char| {
        let mut lower = letter.to_lowercase();
        lower.next().filter(|_| lower.len() == 0)
    };
    let letters = ('\u{80}'..=char::MAX).filter(|letter| one(*letter).is_some_and(|lower| lower != *letter));
    let pairs = letters.map(|letter| format!("('{letter}', '{}')", one(letter).unwrap()));
    let pairs: Vec<_> = pairs.collect();
    assert!(pairs.len() > 1_400);
    let wrong = format!(
        "select coalesce(string_agg(letter, ' '), '') from (values {}) as pairs(letter, lower)
             where lowered(letter) <> normalize(lower)",
        pairs.join(", ")
    );
    for database in [Database::fresh(), Database::turkish()] {
        migrations::run(database.url()).unwrap();
        assert_eq!(database.text(&wrong), "");
        assert_eq!(database.text("select lowered('IRINA İ')"), "irina i");
    }
}

#[test]
fn postgresql_has_the_plain_letters_of_the_program() {
    let is_of_many =
        |letter: char| matches!(letter, '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{20000}'..);
    // Since Unicode 16 two of each are one letter. PostgreSQL may have an earlier Unicode.
    let is_new_alone = |letter: char| matches!(letter, '\u{113c2}' | '\u{1611e}' | '\u{16d67}');
    let letters = ('\u{80}'..=char::MAX)
        .filter(|letter| letter.is_alphabetic() && !is_of_many(*letter) && !is_new_alone(*letter));
    let marks: String = ('\u{300}'..='\u{36f}').collect();
    let words = |letter: char| [letter.to_string(), format!("{letter}{marks}{letter}")];
    let pairs: Vec<_> = letters
        .flat_map(words)
        .map(|words| format!("('{words}', '{}')", plain_letters(&words)))
        .collect();
    assert!(pairs.len() > 20_000);
    let wrong = format!(
        "select coalesce(string_agg(words || ' ' || plain_letters(words), ', '), '') from (values {}) as pairs(words, plain)
             where plain_letters(words) <> plain",
        pairs.join(", ")
    );
    for database in [Database::fresh(), Database::turkish()] {
        migrations::run(database.url()).unwrap();
        assert_eq!(database.text(&wrong), "");
    }
}

#[tokio::test]
async fn addresses_that_differ_in_a_mark_are_those_of_two_people() {
    let app = App::start().await;
    let admin = app.admin().await;
    for name in ["jorg", "jörg"] {
        app.add_user(name, Role::User).await;
    }
    app.visitor().sign_in("jörg@example.org").await;
    let found = |list: &'static str| async { found(&admin, list, "jörg").await };
    assert_eq!(found("users").await, ["jorg@example.org", "jörg@example.org"]);
    assert_eq!(found("sessions").await, ["jörg@example.org"]);
}

/// The addresses that a list shows for a search.
async fn found(client: &Client, list: &str, q: &str) -> Vec<String> {
    let body = client
        .get(&format!("/api/admin/{list}?q={}", encoded(q)))
        .await
        .json();
    let rows = body["sessions"].as_array().or(body["users"].as_array()).unwrap();
    let email = |row: &Value| {
        let email = row["user"]["email"].as_str().or(row["email"].as_str());
        email.unwrap().to_owned()
    };
    let mut emails: Vec<String> = rows.iter().map(email).collect();
    emails.sort();
    emails
}

#[tokio::test]
async fn people_of_an_earlier_version_and_their_sessions_are_found_by_plain_letters() {
    let app = App::start().await;
    let admin = app.admin().await;
    for (name, shown) in [
        ("jose", "José Öberg"),
        ("ada", "Ada Lovelace"),
        ("jan", "Ян Müller"),
    ] {
        app.signed_in(name).await;
        app.database().execute(&format!(
            "update users set name = '{shown}' where email = '{name}@example.org'"
        ));
    }
    let mut connection = PgConnection::establish(app.database().url()).unwrap();
    // search_without_marks, and whatever comes after it.
    while connection.revert_last_migration(MIGRATIONS).unwrap().to_string() != "20261128000031" {}
    let before = app
        .database()
        .text("select folded_user from sessions where folded_user like 'jos%'");
    assert_eq!(before, "josé öberg jose@example.org");
    app.database().execute(
        "update users set email = 'jan@xn--mnchen-3ya.example', searched_email = 'jan@münchen.example' where email like 'jan@%'",
    );

    migrations::run(app.database().url()).unwrap();
    assert_eq!(fill_in_plain_names(app.database().url()).unwrap(), 2);
    assert_eq!(fill_in_plain_names(app.database().url()).unwrap(), 0);
    for list in ["sessions", "users"] {
        assert_eq!(found(&admin, list, "oberg").await, ["jose@example.org"], "{list}");
        assert_eq!(found(&admin, list, "JOSÉ").await, ["jose@example.org"], "{list}");
        assert_eq!(
            found(&admin, list, "munchen").await,
            ["jan@xn--mnchen-3ya.example"],
            "{list}"
        );
        assert_eq!(
            found(&admin, list, "ян").await,
            ["jan@xn--mnchen-3ya.example"],
            "{list}"
        );
        assert_eq!(
            found(&admin, list, "lovelace").await,
            ["ada@example.org"],
            "{list}"
        );
    }
    let rest = app
        .database()
        .number("select count(*) from users where folded_plain is null and email not in ('ada@example.org', 'root@example.org')");
    assert_eq!(rest, 0);
}

#[tokio::test]
async fn past_sessions_are_found_by_the_plain_letters_of_their_users() {
    let app = App::start().await;
    let admin = app.admin().await;
    let jose = app.signed_in("jose").await;
    app.database()
        .execute("update users set name = 'José Öberg' where email like 'jose@%'");
    jose.logout().await;
    for q in ["oberg", "Öberg", "jose oberg signed out"] {
        assert_eq!(found(&admin, "history", q).await, ["jose@example.org"], "{q}");
    }
    assert_eq!(found(&admin, "history", "oberg revoked").await.len(), 0);
}

/// 2,500 accounts with sessions, one second apart; every tenth is Grace, and the two oldest are Linus.
async fn app_with_many() -> (App, Client) {
    let app = App::start().await;
    let admin = app.admin().await;
    app.database().execute(
        "insert into users (name, email, created_at)
             select case when n > 2498 then 'Linus' when n % 10 = 0 then 'Grace' else 'Somebody' end || ' ' || n, 'p' || n || '@x.org',
                 now() - n * interval '1 second'
             from generate_series(1, 2500) as n;
         insert into sessions (written_at, user_id, token_digest, ip_address, last_activity, expires_at, created_at, folded_origin, folded_user)
             select now(), id, sha256(email::bytea), '192.0.2.1', now(), now() + interval '1 hour', created_at, 'curl 8 192.0.2.1',
                 searched_text(users)
             from users where email like 'p%@x.org'",
    );
    (app, admin)
}

#[tokio::test]
async fn however_many_rows_a_search_finds_they_are_counted_and_no_page_misses_one() {
    let (_app, admin) = app_with_many().await;
    for (list, q, total, limit) in [
        ("sessions", "", 2501, 200),
        ("sessions", "@", 2501, 200),
        ("sessions", "x.org", 2500, 200),
        ("sessions", "grace", 249, 200),
        ("sessions", "linus", 2, 200),
        ("sessions", "nobody", 0, 200),
        ("users", "", 2501, 200),
        ("users", "@", 2501, 200),
        ("users", "grace", 249, 200),
        ("users", "linus", 2, 200),
        // As many as there are among the 1,000 rows that are searched first.
        ("sessions", "grace", 249, 99),
        ("users", "grace", 249, 99),
        ("users", "signed in", 2501, 200),
        ("users", "no password", 2500, 200),
        ("users", "nobody", 0, 200),
    ] {
        let begin = format!("/api/admin/{list}?limit={limit}&q={}", encoded(q));
        let (mut path, mut walked, mut pages) = (begin.clone(), Vec::new(), Vec::new());
        loop {
            let body = admin.get(&path).await.json();
            assert_eq!(
                (&body["total"], &body["newer"]),
                (&json!(total), &json!(0)),
                "{list} {q}"
            );
            let rows = body[list].as_array().unwrap().clone();
            walked.extend(rows.iter().map(|row| row["id"].to_string()));
            pages.push(body.clone());
            let Some(next) = body["next"].as_str() else { break };
            path = format!("{begin}&after={next}");
        }
        walked.sort();
        walked.dedup();
        assert_eq!(walked.len(), total, "{list} {q}");
        for page in pages.windows(2) {
            let before = format!("{begin}&before={}", page[1]["previous"].as_str().unwrap());
            assert_eq!(admin.get(&before).await.json()[list], page[0][list], "{list} {q}");
        }
    }
}

#[tokio::test]
async fn rows_added_since_the_first_page_of_a_search_are_counted_and_stand_before_it() {
    let (app, admin) = app_with_many().await;
    let first = admin.get("/api/admin/users?limit=50&q=grace").await.json();
    app.add_user("grace", Role::User).await;
    let login = json!({ "email": "grace@example.org", "password": PASSWORD });
    let asked = app.visitor().request(Method::POST, "/auth/login");
    assert_eq!(Answer::of(asked.json(&login)).await.status, 200);
    let next = first["next"].as_str().unwrap();
    let second = admin
        .get(&format!("/api/admin/users?limit=50&q=grace&after={next}"))
        .await
        .json();
    assert_eq!((&second["newer"], &second["total"]), (&json!(1), &json!(250)));
    let dense = admin.get("/api/admin/sessions?limit=50&q=@").await.json();
    assert_eq!(dense["sessions"][0]["user"]["email"], "grace@example.org");
    assert_eq!(dense["total"], 2502);
}
