//! How the pages of a list follow each other, and lead to each other.

use oneseat::users::Role;
use serde_json::Value;

use super::{rows, who};
use crate::support::{App, Client};

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
        each_page_leads_to_the_one_before(&admin, list, "").await;
    }
    // Of rows with one time, the id decides, also where no index brings them in that order.
    app.database().execute(
        "update sessions set created_at = date_trunc('minute', now() - interval '5 minutes');
         update users set created_at = date_trunc('minute', now() - interval '5 minutes');
         update ended_sessions set ended_at = date_trunc('minute', now())",
    );
    for list in ["sessions", "users", "history"] {
        for q in ["", "example.org"] {
            each_page_leads_to_the_one_before(&admin, list, q).await;
        }
    }
}

async fn each_page_leads_to_the_one_before(admin: &Client, list: &str, q: &str) {
    let mut page = admin
        .get(&format!("/api/admin/{list}?limit=2&q={q}"))
        .await
        .json();
    let mut forth = vec![rows(&page).clone()];
    while !page["next"].is_null() {
        page = page_beside(admin, list, &format!("q={q}&after"), &page["next"]).await;
        forth.push(rows(&page).clone());
    }
    let mut back = vec![rows(&page).clone()];
    while !page["previous"].is_null() {
        page = page_beside(admin, list, &format!("q={q}&before"), &page["previous"]).await;
        back.push(rows(&page).clone());
    }
    back.reverse();
    assert!(forth.len() >= 3, "{list} {q}: {forth:?}");
    assert_eq!(back, forth, "{list} {q}");
    assert!(!page["next"].is_null(), "{list} {q}");
    let all: Vec<String> = forth.concat().iter().map(|row| row["id"].to_string()).collect();
    let whole = admin
        .get(&format!("/api/admin/{list}?limit=200&q={q}"))
        .await
        .json();
    let right: Vec<String> = rows(&whole).iter().map(|row| row["id"].to_string()).collect();
    assert_eq!(all, right, "{list} {q}");
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
    assert!(before["previous"].is_null());
    assert_eq!(before["newer"], 0, "it is the first page");
    // Of two cursors, `after` counts.
    let next = first["next"].as_str().unwrap();
    let previous = second["previous"].as_str().unwrap();
    let both = format!("/api/admin/sessions?limit=2&before={previous}&after={next}");
    assert_eq!(admin.get(&both).await.json()["sessions"], second["sessions"]);

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
    let of_another = admin.get(&format!("/api/admin/sessions?before={next}")).await;
    assert_eq!(of_another.problem(), "400 bad_request");
    assert_eq!(
        of_another.json()["detail"],
        "before is the previous of another list"
    );
    assert_eq!(
        admin.get(&format!("/api/admin/users?after={next}")).await.status,
        200
    );
}

/// The address of a link on a page, by its `rel`.
fn link(page: &str, rel: &str) -> String {
    let (before, _) = page.split_once(&format!("\" rel=\"{rel}\"")).unwrap();
    let (_, address) = before.rsplit_once("href=\"").unwrap();
    address.replace("&#38;", "&").replace("&amp;", "&")
}

#[tokio::test]
async fn the_links_of_a_page_keep_its_search_and_its_reason() {
    let app = App::start().await;
    let admin = app.admin().await;
    app.database().execute(
        "insert into ended_sessions (id, user_id, token_digest, ip_address, last_activity, expires_at, created_at, ended_at, reason)
             select gen_random_uuid(), users.id, sha256(n::text::bytea), '192.0.2.1', now(), now(), now(), now(), 'revoked'
             from users, generate_series(1, 51) as n",
    );
    let first = admin.get("/admin/history?q=root&reason=revoked").await.text;
    let next = link(&first, "next");
    let second = admin.get(&next).await.text;
    for address in [&next, &link(&second, "prev")] {
        assert!(
            address.starts_with("/admin/history?q=root&reason=revoked&"),
            "{address}"
        );
    }
    // And so does its form, so that the next search keeps what is not changed.
    for page in [&first, &second] {
        assert!(
            page.contains("<input id=\"q\" name=\"q\" type=\"search\" dir=\"auto\" value=\"root\""),
            "{page}"
        );
        let chosen: Vec<_> = page
            .split("<option ")
            .filter(|option| option.contains(" selected"))
            .collect();
        assert!(
            chosen.len() == 1 && chosen[0].starts_with("value=\"revoked\" selected>"),
            "{chosen:?}"
        );
        assert!(page.contains("How it ended: Ended by an admin."), "{page}");
    }
    // A page whose rows have gone meanwhile leads to the first of that search.
    app.database().execute("delete from ended_sessions");
    let emptied = admin.get(&next).await.text;
    assert!(
        emptied.contains("<a href=\"/admin/history?q=root&#38;reason=revoked\">First page</a>"),
        "{emptied}"
    );
    for list in ["history", "sessions", "users"] {
        let page = admin.get(&format!("/admin/{list}?q=%22ro+ot%22%26")).await.text;
        assert!(
            page.contains("value=\"&#34;ro ot&#34;&#38;\" maxlength"),
            "{list}: {page}"
        );
        let whole = admin.get(&format!("/admin/{list}")).await.text;
        assert!(
            !whole.contains(" selected") && !whole.contains("How it ended: "),
            "{whole}"
        );
    }
}

#[tokio::test]
async fn a_button_ends_as_many_sessions_as_it_says_and_never_the_admins_own() {
    let app = App::start().await;
    app.signed_in("ada").await;
    app.signed_in("grace").await;
    let admin = app.admin().await;
    for (q, others) in [("", "2"), ("ada", "1"), ("example.org", "2"), ("root", "")] {
        let page = admin.get(&format!("/admin/sessions?q={q}")).await.text;
        let said = page
            .split_once("data-count=\"")
            .map_or("", |(_, rest)| rest.split_once('"').unwrap().0);
        assert_eq!(said, others, "{q}");
    }
}
