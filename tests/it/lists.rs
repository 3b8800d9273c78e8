//! What lists find, and how their pages follow each other.

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
         insert into one_time_links
             select id, 'invitation', sha256(name::bytea), email, now() + (interval '1 day') * case name when 'Noel' then -1 else 1 end
             from users where name in ('Iva', 'Noel');
         insert into mails (kind, email_digest) values ('invitation', email_digest('ian@example.org'));
         update users set disabled_at = now() where email = 'grace@example.org';
         insert into undelivered_mails values
             (email_digest('ivo@example.org'), 'invitation', 'nobody there'),
             (email_digest('una@example.org'), 'verification', 'it is full')",
    );
    for _ in 0..5 {
        app.visitor().login("ming@example.org", "not the password").await;
    }
    for (q, right) in [
        ("admin", &["root"][..]),
        ("disabled", &["grace"]),
        ("dis", &["grace"]),
        // Its mail waits, its link works, or it was given up; one that is too old is none.
        ("invited", &["ian", "iva", "ivo"]),
        ("no password", &["noel", "nora"]),
        ("not verified", &["una"]),
        ("not delivered", &["ivo", "una"]),
        ("Invitation not delivered", &["ivo"]),
        ("locked", &["ming"]),
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
        ("signed in", &["ada", "grace", "ming", "root", "taro"]),
        // No part of a label but its beginning: it would find almost everybody.
        ("ed", &[]),
        ("太郎", &["taro"]),
        ("192.168.1.20", &["ada"]),
    ] {
        assert_eq!(found(&admin, "users", q).await, right, "{q}");
    }
}

/// A page of two rows, beside a row that an answer names.
async fn page_beside(client: &Client, list: &str, beside: &str, row: &Value) -> Value {
    let row = row.as_str().unwrap();
    let path = format!("/api/admin/{list}?limit=2&{beside}={row}");
    client.get(&path).await.json()
}

#[tokio::test]
async fn each_page_leads_to_the_one_before_it_up_to_the_first() {
    let app = App::start().await;
    let admin = app.admin().await;
    for number in 0..6 {
        let person = app.signed_in(&format!("p{number}")).await;
        app.visitor().sign_in(&format!("p{number}@example.org")).await;
        assert_eq!(person.session().await.status, 401);
    }
    for list in ["sessions", "users", "history"] {
        let mut page = admin.get(&format!("/api/admin/{list}?limit=2")).await.json();
        let mut forth = vec![rows(&page).clone()];
        while !page["next"].is_null() {
            page = page_beside(&admin, list, "after", &page["next"]).await;
            forth.push(rows(&page).clone());
        }
        let mut back = vec![rows(&page).clone()];
        while !page["previous"].is_null() {
            page = page_beside(&admin, list, "before", &page["previous"]).await;
            back.push(rows(&page).clone());
        }
        back.reverse();
        assert!(forth.len() >= 3, "{list}: {forth:?}");
        assert_eq!(back, forth, "{list}");
        assert!(!page["next"].is_null(), "{list}");
    }
}

#[tokio::test]
async fn the_page_before_is_the_first_one_when_what_stands_there_fills_no_page() {
    let app = App::start().await;
    let admin = app.admin().await;
    let mut people = Vec::new();
    for number in 0..4 {
        people.push(app.signed_in(&format!("p{number}")).await);
    }
    let first = admin.get("/api/admin/sessions?limit=2").await.json();
    let second = page_beside(&admin, "sessions", "after", &first["next"]).await;
    people[3].logout().await;
    let before = page_beside(&admin, "sessions", "before", &second["previous"]).await;
    let names: Vec<String> = rows(&before).iter().map(who).collect();
    assert_eq!(names, ["p2", "p1"]);
    assert!(before["previous"].is_null());
    // The rows that were added since stand before it.
    app.signed_in("new").await;
    let before = page_beside(&admin, "sessions", "before", &second["previous"]).await;
    let names: Vec<String> = rows(&before).iter().map(who).collect();
    assert_eq!(names, ["new", "p2"]);

    let unknown = admin.get("/admin/sessions?before=1").await;
    assert_eq!(
        unknown.json()["detail"],
        "before must be the previous of a later page; begin again without it"
    );
}

/// Walks through a list, and tells `between` the number of pages so far.
async fn walk(client: &Client, list: &str, between: impl AsyncFn(usize)) -> (Vec<String>, Vec<u64>) {
    let (mut seen, mut newer, mut path) = (Vec::new(), Vec::new(), format!("/api/admin/{list}?limit=2"));
    loop {
        let body = client.get(&path).await.json();
        seen.extend(rows(&body).iter().map(who));
        newer.push(body["newer"].as_u64().unwrap());
        let Some(next) = body["next"].as_str() else {
            return (seen, newer);
        };
        path = format!("/api/admin/{list}?limit=2&after={next}");
        between(newer.len()).await;
    }
}

#[tokio::test]
async fn a_walk_misses_nobody_while_people_are_active_sign_in_and_sign_out() {
    let app = App::start().await;
    let mut people = Vec::new();
    for number in 0..9 {
        people.push(app.signed_in(&format!("p{number}")).await);
    }
    let admin = app.admin().await;
    app.database()
        .execute("update sessions set last_activity = now() - interval '1 hour'");
    let (mut seen, newer) = walk(&admin, "sessions", async |pages| {
        // A user whose row is still to come is active, and would be the first in a list by activity.
        for person in &people[..9 - pages] {
            assert_eq!(person.session().await.status, 200);
        }
        app.signed_in(&format!("new{pages}")).await;
        if pages == 2 {
            people[8].logout().await;
        }
    })
    .await;
    let active = "select count(*) from sessions where last_activity > now() - interval '5 minutes'";
    assert!(app.database().number(active) > 8, "they were active");
    seen.sort();
    let mut all: Vec<String> = (0..9).map(|number| format!("p{number}")).collect();
    all.push("root".to_owned());
    assert_eq!(seen, all);
    assert_eq!(newer, [0, 1, 2, 3, 4], "who is new is told");
}

#[tokio::test]
async fn a_walk_through_accounts_misses_nobody_while_others_are_added() {
    let app = App::start().await;
    let admin = app.admin().await;
    for number in 0..5 {
        app.add_user(&format!("p{number}"), Role::User).await;
    }
    let (seen, newer) = walk(&admin, "users", async |pages| {
        app.add_user(&format!("new{pages}"), Role::User).await;
    })
    .await;
    assert_eq!(seen, ["p4", "p3", "p2", "p1", "p0", "root"]);
    assert_eq!(newer, [0, 1, 2]);
}

#[tokio::test]
async fn the_next_page_of_another_list_or_of_an_earlier_version_is_refused_in_words() {
    let app = App::start().await;
    let admin = app.admin().await;
    app.add_user("ada", Role::User).await;
    let next = admin.get("/api/admin/users?limit=1").await.json()["next"]
        .as_str()
        .unwrap()
        .to_owned();
    let old = "1795000000000000_00000000000000000000000000000000";
    for (after, words) in [
        (next.as_str(), "after is the next of another list"),
        (
            old,
            "after must be the next of an earlier page; begin again without it",
        ),
    ] {
        for list in ["/api/admin/sessions", "/admin/sessions"] {
            let answer = admin.get(&format!("{list}?after={after}")).await;
            assert_eq!(answer.problem(), "400 bad_request");
            assert_eq!(answer.json()["detail"], words);
        }
    }
    assert_eq!(
        admin.get(&format!("/api/admin/users?after={next}")).await.status,
        200
    );
}
