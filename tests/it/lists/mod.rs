//! What lists find. `pages` has how their pages follow each other.

mod pages;

use oneseat::users::Role;
use reqwest::Method;
use reqwest::header::USER_AGENT;
use serde_json::{Value, json};

use crate::support::{Answer, App, Client, PASSWORD};

const FIREFOX: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:144.0) Gecko/20100101 Firefox/144.0";

/// The users whom a list shows for a search, by the part of the address before the `@`.
async fn found(client: &Client, list: &str, q: &str) -> Vec<String> {
    let q: String = q.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let body = client.get(&format!("/api/admin/{list}?q={q}")).await.json();
    let mut names: Vec<String> = rows(&body).iter().map(who).collect();
    if let Some(total) = body["total"].as_u64() {
        assert_eq!(total, names.len() as u64, "{q}");
    }
    names.sort();
    names
}

fn rows(body: &Value) -> &Vec<Value> {
    body["sessions"].as_array().or(body["users"].as_array()).unwrap()
}

fn who(row: &Value) -> String {
    let email = row["user"]["email"].as_str().or(row["email"].as_str());
    email.unwrap_or("removed").split('@').next().unwrap().to_owned()
}

/// Ada signs in with Firefox, the others with user agents that name no browser.
async fn app_with_people() -> (App, Client) {
    let app = App::start().await;
    let admin = app.admin().await;
    for (name, shown) in [
        ("ada", "Host 192.168.1.20"),
        ("taro", "山田太郎"),
        ("ming", "李明"),
        ("grace", "Grace Hopper"),
    ] {
        app.add_user(name, Role::User).await;
        let rename = format!("update users set name = '{shown}' where email = '{name}@example.org'");
        app.database().execute(&rename);
        let login = json!({ "email": format!("{name}@example.org"), "password": PASSWORD });
        let agent = if name == "ada" { FIREFOX } else { "" };
        let asked = app
            .visitor()
            .request(Method::POST, "/auth/login")
            .header(USER_AGENT, agent);
        assert_eq!(Answer::of(asked.json(&login)).await.status, 200);
    }
    (app, admin)
}

/// Changes a session as if it had been opened from that network address.
fn come_from(app: &App, name: &str, address: &str) {
    app.database().execute(&format!(
        "update sessions set ip_address = '{address}', folded_origin = replace(folded_origin, '127.0.0.1', '{address}')
         where user_id = (select id from users where email = '{name}@example.org')"
    ));
}

#[tokio::test]
async fn a_search_finds_any_part_of_all_that_a_row_shows() {
    let (app, admin) = app_with_people().await;
    come_from(&app, "taro", "192.168.1.20");
    come_from(&app, "ming", "192.168.1.200");
    come_from(&app, "grace", "2001:db8:abc::7");
    for (q, right) in [
        // A name, by any part of it and in any order.
        ("明", &["ming"][..]),
        ("太郎", &["taro"]),
        ("op", &["grace"]),
        ("hopper grace", &["grace"]),
        ("grace ada", &[]),
        // An address, in a name and as the network address; a whole one is no part of another.
        ("192.168.1.20", &["ada", "taro"]),
        ("192.168.1", &["ada", "ming", "taro"]),
        ("::ffff:192.168.1.20", &["taro"]),
        ("[::ffff:192.168.1.20]:443", &["taro"]),
        ("::ffff:192.168.", &["ming", "taro"]),
        ("192.168.0.0/16", &["ming", "taro"]),
        ("68.1.20", &["ada", "ming", "taro"]),
        // IPv6, by its beginning, however it is written.
        ("2001:db8:", &["grace"]),
        ("2001:0DB8:a", &["grace"]),
        ("2001:db8:abc::", &["grace"]),
        ("[2001:db8:abc::7]", &["grace"]),
        ("2001:db8:b", &[]),
        (":abc:", &["grace"]),
        // The device, as the page has it in words.
        ("firefox", &["ada"]),
        ("FIREFOX 144 on macos", &["ada"]),
        ("gecko", &[]),
        ("host firefox", &["ada"]),
        ("unknown", &["grace", "ming", "root", "taro"]),
    ] {
        assert_eq!(found(&admin, "sessions", q).await, right, "{q}");
    }
    // A request to end what a search finds ends exactly the sessions that the search shows.
    let ended = Answer::of(admin.request(Method::DELETE, "/api/admin/sessions?q=192.168.1.20")).await;
    assert_eq!(ended.json()["ended"], 2);
    assert_eq!(found(&admin, "history", "192.168.1.20").await, ["ada", "taro"]);
    assert_eq!(found(&admin, "history", "firefox").await, ["ada"]);
    assert_eq!(found(&admin, "history", "ended by").await, ["ada", "taro"]);
    assert_eq!(found(&admin, "history", "taro ended").await, ["taro"]);
    assert_eq!(
        found(&admin, "history", "firefox ended by an admin").await,
        ["ada"]
    );
    assert_eq!(found(&admin, "sessions", "192.168.1").await, ["ming"]);
}

#[tokio::test]
async fn the_history_is_searched_for_reasons_and_for_names_that_look_like_one() {
    let app = App::start().await;
    let admin = app.admin().await;
    app.database().execute(
        "create table past (who text, name text, reason text, address inet, agent text);
         insert into past values
             ('out', 'Ada', 'signed_out', '192.0.2.1', null),
             ('page', 'Bob', 'page_closed', '192.0.2.1', null),
             ('elsewhere', 'Cy', 'replaced', '192.0.2.1', null),
             ('late', 'Dora', 'expired', '192.0.2.1', null),
             ('by', 'Eve', 'revoked', '192.0.2.1', null),
             ('word', 'Finn', 'password_changed', '192.0.2.1', null),
             ('off', 'Gus', 'account_disabled', '192.0.2.1', null),
             ('back', 'Hana', 'restored', '192.0.2.1', null),
             -- They are called like a reason, and their sessions have ended for another one.
             ('milk', 'Expired Milk', 'signed_out', '198.51.100.7', 'curl/8.5.0'),
             ('umla', 'Page Closed', 'expired', '192.0.2.1', null),
             ('remo', 'Removed User', 'expired', '192.0.2.1', null),
             ('gone', 'Ivo', 'expired', '192.0.2.1', null);
         insert into users (name, email) select name, who || '@example.org' from past;
         insert into ended_sessions
             select gen_random_uuid(), users.id, sha256(who::bytea), address, agent, now(), now(), now(), now(), reason
                 from past join users on email = who || '@example.org';
         delete from users where email = 'gone@example.org'",
    );
    for (q, right) in [
        ("signed out", &["milk", "out"][..]),
        ("page closed", &["page", "umla"]),
        ("signed in elsewhere", &["elsewhere"]),
        ("expired", &["late", "milk", "remo", "removed", "umla"]),
        ("ended by an admin", &["by"]),
        ("password changed", &["word"]),
        ("account disabled", &["off"]),
        ("backup restored", &["back"]),
        ("removed user", &["remo", "removed"]),
        // The beginning of a label, and several words.
        ("sign", &["elsewhere", "milk", "out"]),
        ("exp", &["late", "milk", "remo", "removed", "umla"]),
        ("rem", &["remo", "removed"]),
        ("milk expired", &["milk"]),
        ("expired page", &["umla"]),
        ("closed page", &["umla"]),
        ("page closed page closed", &["page", "umla"]),
        ("removed user expired", &["remo", "removed"]),
        ("removed user signed out", &[]),
        // The other fields of a row: its name, its address and its device, as an earlier version wrote it.
        ("hana", &["back"]),
        ("umla@example", &["umla"]),
        ("198.51.100.7", &["milk"]),
        ("198.51.100.0/24", &["milk"]),
        ("198.51", &["milk"]),
        ("curl", &["milk"]),
        ("curl signed out", &["milk"]),
    ] {
        assert_eq!(found(&admin, "history", q).await, right, "{q}");
    }
}

#[tokio::test]
async fn a_session_that_an_earlier_version_opened_is_found_by_what_its_browser_sent() {
    let (app, admin) = app_with_people().await;
    app.database()
        .execute("update sessions set folded_origin = null, folded_user = null");
    assert_eq!(found(&admin, "sessions", "firefox").await, ["ada"]);
    assert_eq!(found(&admin, "sessions", "0.0.1").await.len(), 5);
    assert_eq!(found(&admin, "sessions", "明").await, ["ming"]);
}

#[tokio::test]
async fn a_live_session_is_found_by_what_its_user_is_called_now() {
    let (app, admin) = app_with_people().await;
    assert_eq!(found(&admin, "sessions", "hopper").await, ["grace"]);
    app.database().execute(
        "update users set name = 'Grace Murray' where email = 'grace@example.org';
         update users set email = 'ming@xn--mnchen-3ya.example' where email = 'ming@example.org'",
    );
    assert_eq!(found(&admin, "sessions", "hopper").await.len(), 0);
    assert_eq!(found(&admin, "sessions", "murray").await, ["grace"]);
    assert_eq!(found(&admin, "sessions", "ming@example").await.len(), 0);
    assert_eq!(found(&admin, "sessions", "ming@xn").await, ["ming"]);
    // Does what the program does for a row that somebody wrote by hand.
    app.database()
        .execute("update users set searched_email = 'ming@münchen.example' where email like 'ming@%'");
    assert_eq!(found(&admin, "sessions", "münchen").await, ["ming"]);
    // A new session knows it from the beginning.
    let login = json!({ "email": "ming@münchen.example", "password": PASSWORD });
    let asked = app.visitor().request(Method::POST, "/auth/login");
    assert_eq!(Answer::of(asked.json(&login)).await.status, 200);
    assert_eq!(found(&admin, "sessions", "münchen").await, ["ming"]);
    let searched = app
        .database()
        .text("select string_agg(folded_user, '; ') from sessions where folded_user like '%ming%'");
    assert_eq!(searched, "李明 ming@xn--mnchen-3ya.example ming@munchen.example");
}

#[tokio::test]
async fn accounts_are_found_by_their_role_and_their_state_too() {
    let (app, admin) = app_with_people().await;
    app.add_unverified_user("una").await;
    app.database().execute(
        "insert into users (name, email) select initcap(name), name || '@example.org'
             from unnest(array['ivo', 'iva', 'ian', 'nora', 'noel']) as name;
         insert into users (name, email, password_hash, disabled_at) values
             ('Dora', 'dora@example.org', '', now()),
             -- They are called like labels, and have none but that.
             ('Locked Admin', 'lena@example.org', '', now()), ('Signed in Twice', 'twice@example.org', '', now());
         insert into one_time_links
             select id, 'invitation', sha256(name::bytea), email, now() + (interval '1 day') * case name when 'Noel' then -1 else 1 end
             from users where name in ('Iva', 'Noel');
         insert into mails (kind, email_digest) values ('invitation', email_digest('ian@example.org'));
         update users set disabled_at = now() where email = 'grace@example.org';
         insert into undelivered_mails values
             (email_digest('ivo@example.org'), 'invitation', 'nobody there'),
             (email_digest('una@example.org'), 'verification', 'it is full');
         -- These are over.
         insert into login_failures values
             (email_digest('nora@example.org'), 5, now() - interval '1 second'), (email_digest('noel@example.org'), 4, null)",
    );
    for _ in 0..5 {
        app.visitor().login("ming@example.org", "not the password").await;
    }
    for (q, right) in [
        ("admin", &["lena", "root"][..]),
        ("disabled", &["dora", "grace", "lena", "twice"]),
        ("dis", &["dora", "grace", "lena", "twice"]),
        // Its mail waits, its link works, or it was given up; one that is too old is none.
        ("invited", &["ian", "iva", "ivo"]),
        ("no password", &["noel", "nora"]),
        ("not verified", &["una"]),
        ("not delivered", &["ivo", "una"]),
        ("Invitation not delivered", &["ivo"]),
        ("Link to verify the address not delivered", &["una"]),
        ("locked", &["lena", "ming"]),
        ("grace disabled", &["grace"]),
        // A name and a label of several words, in any order; and several labels.
        ("una not delivered", &["una"]),
        ("not delivered ivo", &["ivo"]),
        ("una ivo not delivered", &[]),
        ("una not verified not delivered", &["una"]),
        ("明 locked", &["ming"]),
        ("locked signed in", &["ming"]),
        ("grace signed in disabled", &["grace"]),
        ("ming disabled", &[]),
        ("active", &["ada", "ming", "root", "taro"]),
        ("signed in", &["ada", "grace", "ming", "root", "taro", "twice"]),
        // No part of a label but its beginning: it would find almost everybody.
        ("ed", &["lena", "twice"]),
        ("太郎", &["taro"]),
        // An account has no network address, only words.
        ("192.168.1.20", &["ada"]),
        ("192.168.", &["ada"]),
        ("192.168.1.20/32", &[]),
        ("192.168.0.0/16", &[]),
        ("::ffff:192.168.1.20", &[]),
        ("127.0.0.1", &[]),
    ] {
        assert_eq!(found(&admin, "users", q).await, right, "{q}");
    }
    // A row shows the state by which it is found.
    for (q, state) in [
        ("disabled", "disabled"),
        ("invited", "invited"),
        ("no password", "no_password"),
        ("not verified", "unverified"),
        ("active", "active"),
    ] {
        let list = admin.get(&format!("/api/admin/users?q={q}")).await.json();
        for row in rows(&list) {
            assert_eq!(row["state"], state, "{row}");
        }
    }
}

#[tokio::test]
async fn a_page_without_rows_says_why() {
    let app = App::start().await;
    let admin = app.admin().await;
    for (path, words) in [
        (
            "history",
            "No session has ended yet. When one does, it stands here for 30 days",
        ),
        (
            "history?q=nobody",
            "No ended session matches. They are kept for 30 days.",
        ),
        (
            "history?reason=expired",
            "No ended session matches. They are kept for 30 days.",
        ),
        (
            "history?q=nobody&reason=expired",
            "No ended session matches. They are kept for 30 days.",
        ),
        (
            "sessions?q=nobody",
            "No signed-in user matches <bdi>“nobody”</bdi>.",
        ),
        ("users?q=nobody", "No account matches <bdi>“nobody”</bdi>."),
    ] {
        let page = admin.get(&format!("/admin/{path}")).await.text;
        assert!(page.contains(words), "{path}: {page}");
        assert_eq!(
            page.contains(&format!(
                "<a href=\"/admin/{}\">Show",
                path.split('?').next().unwrap()
            )),
            path.contains('?'),
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_is_over_is_found_no_more_before_it_is_swept() {
    let app = App::start_swept().await;
    let ada = app.signed_in("ada").await;
    let admin = app.admin().await;
    for _ in 0..5 {
        app.visitor().login("ada@example.org", "not the password").await;
    }
    assert_eq!(found(&admin, "users", "locked").await, ["ada"]);
    app.database().execute(
        "update sessions set created_at = created_at - interval '3 hours', last_activity = last_activity - interval '3 hours',
             expires_at = expires_at - interval '3 hours', ends_at = ends_at - interval '3 hours'
             where user_id = (select id from users where email = 'ada@example.org');
         update login_failures set locked_until = now() - interval '1 second'",
    );
    assert_eq!(app.sessions(), 2, "it is not swept");
    for (list, q, right) in [
        ("sessions", "", &["root"][..]),
        ("sessions", "ada", &[]),
        ("sessions", "127.0.0.1", &["root"]),
        ("users", "signed in", &["root"]),
        ("users", "ada signed in", &[]),
        ("users", "locked", &[]),
        ("users", "ada", &["ada"]),
    ] {
        assert_eq!(found(&admin, list, q).await, right, "{list} {q}");
    }
    let row = admin.get("/api/admin/users?q=ada").await.json()["users"][0].clone();
    assert_eq!(
        (&row["signedIn"], &row["lockedUntil"]),
        (&json!(false), &Value::Null)
    );
    ada.session().await.expired();
}
