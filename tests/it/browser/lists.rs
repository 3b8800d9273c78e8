//! Lists of people, as an admin uses them.

use fantoccini::key::Key;
use oneseat::users::Role;
use serde_json::json;

use super::app_with_ada;
use crate::support::{App, Browser, PASSWORD};

const LONG: &str =
    "a.very.long.address.that.somebody.really.has@department-of-long-names.subsidiary.example-company.org";

/// An admin, and some people whose sessions are minutes apart: the first is the last to have signed in.
pub(super) async fn app_with_people() -> App {
    let app = app_with_ada().await;
    app.add_user("root", Role::Admin).await;
    app.database().execute(&format!(
        "insert into users (name, email, email_verified, password_hash, created_at)
             select coalesce((array['محمد بن عبد الله', 'A name that is longer than any column could ever be for anybody'])[n], 'Person ' || n),
                 case when n = 3 then '{LONG}' else 'p' || n || '@example.org' end, true, '', now() - n * interval '1 minute'
             from generate_series(1, 30) as n;
         insert into sessions (written_at, user_id, token_digest, ip_address, user_agent, last_activity, expires_at, created_at)
             select now(), id, sha256(id::text::bytea), '2001:db8:1234:5678:9abc:def0:1234:5678', 'Mozilla/5.0 (iPhone) Version/18.1 Safari/604.1',
                 created_at, now() + interval '1 hour', created_at
             from users where password_hash = ''"
    ));
    app
}

pub(super) async fn at(app: &App, path: &str, width: u32) -> Browser {
    let browser = Browser::open(app.address, path).await;
    resize(&browser, width).await;
    browser.submit_login("root@example.org", PASSWORD).await;
    browser.wait_for(".people").await;
    browser
}

pub(super) async fn resize(browser: &Browser, width: u32) {
    let metrics = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
    browser
        .devtools("Emulation.setDeviceMetricsOverride", metrics)
        .await;
}

/// The label of what has the focus.
pub(super) const FOCUSED: &str = "document.activeElement.getAttribute('aria-label')";

#[tokio::test]
async fn a_row_that_is_ended_goes_and_its_reader_stays_where_they_are() {
    let app = app_with_people().await;
    let admin = at(&app, "/admin/sessions", 1280).await;
    admin
        .run("document.querySelector('[aria-label=\"End the session of p20@example.org\"]').scrollIntoView({ block: 'center' })")
        .await;
    let place = admin.run("return scrollY").await;
    assert!(place.as_f64().unwrap() > 100.0);
    admin
        .click("[aria-label='End the session of p20@example.org']")
        .await;
    admin.click("#confirm-yes").await;
    admin.wait_for_words("is signed out.").await;
    let toast = admin
        .run("return document.querySelector('[role=status] .toast p').textContent")
        .await;
    let toast = toast.as_str().unwrap();
    assert!(
        toast.contains("Person 20") && toast.ends_with(" is signed out."),
        "{toast}"
    );
    // The page was loaded anew by now.
    admin.wait_for_count("#live-heading .count", 30).await;
    assert!(
        admin
            .wait_until(&format!(
                "return {FOCUSED} === 'End the session of p21@example.org'"
            ))
            .await,
        "{}",
        admin.run(&format!("return {FOCUSED}")).await
    );
    assert_eq!(admin.run("return scrollY").await, place);
    assert!(!admin.text().await.contains("p20@example.org"));
    // The last row has none after it: the one before is next.
    admin
        .click("[aria-label='End the session of p30@example.org']")
        .await;
    admin.click("#confirm-yes").await;
    admin.wait_for_count("#live-heading .count", 29).await;
    assert!(
        admin
            .wait_until(&format!(
                "return {FOCUSED} === 'End the session of p29@example.org'"
            ))
            .await
    );
    admin.click(".toast button").await;
    assert!(
        admin
            .wait_until("return document.querySelector('.toast') === null")
            .await
    );
}

#[tokio::test]
async fn a_disabled_account_is_enabled_again_from_the_words_that_tell_of_it() {
    let app = app_with_people().await;
    let admin = at(&app, "/admin/users", 1280).await;
    admin.click("[aria-label='Disable p5@example.org']").await;
    admin.click("#confirm-yes").await;
    admin.wait_for("[aria-label='Enable p5@example.org']").await;
    assert!(
        admin
            .wait_until(&format!("return {FOCUSED} === 'Enable p5@example.org'"))
            .await
    );
    let disabled = "select count(*) from users where disabled_at is not null";
    assert_eq!(app.database().number(disabled), 1);
    admin.wait_for_words("is disabled.").await;
    admin.click(".toast button:first-of-type").await;
    admin.wait_for_words("can sign in again.").await;
    admin.wait_for("[aria-label='Disable p5@example.org']").await;
    assert_eq!(app.database().number(disabled), 0);
}

#[tokio::test]
async fn on_a_phone_actions_are_in_a_menu_that_works_by_keyboard() {
    let app = app_with_people().await;
    let admin = at(&app, "/admin/sessions", 375).await;
    let (enter, escape) = (char::from(Key::Enter), char::from(Key::Escape));
    let menu = "[aria-label='Actions for p2@example.org']";
    let button = "[aria-label='End the session of p2@example.org']";
    let is_seen = format!("return document.querySelector(\"{button}\").checkVisibility()");
    assert_eq!(admin.run(&is_seen).await, false);
    admin
        .run(&format!("document.querySelector(\"{menu}\").focus()"))
        .await;
    admin.press(enter).await;
    assert!(
        admin
            .wait_until(&format!(
                "return {FOCUSED} === 'End the session of p2@example.org'"
            ))
            .await,
        "the menu takes the focus"
    );
    admin.press(escape).await;
    assert!(
        admin
            .wait_until(&format!("return {FOCUSED} === 'Actions for p2@example.org'"))
            .await
    );
    assert_eq!(admin.run(&is_seen).await, false);
    admin.press(enter).await;
    assert!(admin.wait_until(&is_seen).await);
    let facts = admin
        .run("return document.querySelector(':popover-open').innerText")
        .await;
    assert!(
        facts
            .as_str()
            .unwrap()
            .contains("2001:db8:1234:5678:9abc:def0:1234:5678"),
        "{facts}"
    );
    admin.press(enter).await;
    admin.click("#confirm-yes").await;
    admin.wait_for_words("is signed out.").await;
    admin.wait_for_count("#live-heading .count", 30).await;
    assert!(
        admin
            .wait_until(&format!("return {FOCUSED} === `Actions for {LONG}`"))
            .await
    );
}

#[tokio::test]
async fn what_does_not_fit_is_cut_and_shown_whole_to_mouse_keyboard_and_finger() {
    let app = app_with_people().await;
    let admin = at(&app, "/admin/sessions", 1280).await;
    for (path, width) in [
        ("/admin/sessions", 1280),
        ("/admin/sessions", 375),
        ("/admin/users", 1280),
        ("/admin/users", 375),
    ] {
        resize(&admin, width).await;
        admin.click(&format!("a[href='{path}']")).await;
        admin.wait_for_path(path).await;
        admin
            .wait_for(&format!(
                "#{}-heading",
                if path.ends_with("users") { "users" } else { "live" }
            ))
            .await;
        let cut = format!(
            "[...document.querySelectorAll('.people td .cut')].find((cut) => cut.textContent === '{LONG}')"
        );
        let is_ready =
            format!("const cut = {cut}; return cut?.tabIndex === 0 && cut.scrollWidth > cut.clientWidth");
        assert!(
            admin.wait_until(&is_ready).await,
            "{path} at {width}: it is cut, and a stop for the keyboard"
        );
        let rows = "[...document.querySelectorAll('.people tbody tr')].slice(1)";
        let is_low = format!("return Math.max(...{rows}.map((row) => row.offsetHeight)) < 110");
        assert!(
            admin.wait_until(&is_low).await,
            "{path} at {width}: a row is high"
        );
        let times = "[...document.querySelectorAll('.people time')].filter((time) => time.checkVisibility())";
        let is_whole = format!("return {times}.every((time) => time.offsetHeight < 30)");
        assert!(
            admin.wait_until(&is_whole).await,
            "{path} at {width}: a time is broken"
        );
        for asks in [
            "cut.blur(); cut.focus()",
            "cut.dispatchEvent(new PointerEvent('pointerover', { bubbles: true }))",
            "cut.click()",
        ] {
            // In one go: the list may be loaded anew at any time.
            let is_shown = format!(
                "const cut = {cut}; cut.scrollIntoView({{ block: 'center' }}); {asks};
                 const [whole, at] = [document.getElementById('whole'), document.getElementById('whole').getBoundingClientRect()];
                 const isInside = at.left >= 0 && at.right <= innerWidth && at.top >= 0 && at.bottom <= innerHeight;
                 return whole.checkVisibility() && whole.textContent === '{LONG}' && isInside"
            );
            assert!(admin.wait_until(&is_shown).await, "{path} at {width}: {asks}");
            let escape = "document.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' }));
                 document.activeElement.blur(); return !document.getElementById('whole').checkVisibility()";
            assert!(admin.wait_until(escape).await, "{path} at {width}: Escape");
        }
    }
}

#[tokio::test]
async fn times_say_how_long_ago_and_stay_current() {
    let app = app_with_people().await;
    let admin = Browser::open(app.address, "/admin/sessions").await;
    // An hour fast; only what passes counts.
    admin
        .run("const now = Date.now; window.ahead = 3_600_000; Date.now = () => now() + window.ahead")
        .await;
    admin.submit_login("root@example.org", PASSWORD).await;
    admin.wait_for_words("Person 10").await;
    let words = "document.querySelector('[data-row]:nth-child(11) .moment:nth-of-type(4) time').firstChild.textContent";
    assert!(
        admin
            .wait_until(&format!(
                "return {words}.startsWith('1') && {words}.endsWith('\u{a0}min ago')"
            ))
            .await,
        "{}",
        admin.text().await
    );
    // While the search has the focus, the list is not loaded anew.
    admin
        .run("document.getElementById('q').focus(); window.ahead += 7_200_000")
        .await;
    assert!(
        admin
            .wait_until(&format!("return {words} === '2\u{a0}h ago'"))
            .await
    );
    // A screen reader gets the whole time, and so does a user who asks for it.
    let whole = "const time = document.querySelector('.people time'); return time.textContent.endsWith(time.dataset.whole) && /\\d{4}/.test(time.dataset.whole)";
    assert_eq!(admin.run(whole).await, true);
}

#[tokio::test]
async fn a_list_without_rows_says_why_and_offers_the_whole() {
    let app = app_with_people().await;
    let admin = at(&app, "/admin/sessions", 1280).await;
    admin.fill("#q", "nobody of this name").await;
    admin.click(".search [type=submit]").await;
    admin.wait_for_words("No signed-in user matches").await;
    admin.click(".empty a").await;
    admin.wait_for_words("Person 30").await;
    admin.click("a[href='/admin/history']").await;
    admin.wait_for_words("No session has ended yet.").await;
}

#[tokio::test]
async fn a_page_leads_to_the_one_before_it_and_back_leads_to_where_it_was_left() {
    let app = app_with_people().await;
    app.database().execute(
        "insert into users (name, email, created_at)
             select 'Guest ' || n, 'g' || n || '@example.org', now() - interval '1 hour' - n * interval '1 minute'
             from generate_series(1, 60) as n",
    );
    let admin = at(&app, "/admin/users", 1280).await;
    let begins_with = |name: &str| {
        format!("return document.querySelector('.people tbody .name').textContent.includes('{name}')")
    };
    let (next, previous) = ("[rel=next]", "[rel=prev]");
    admin.wait_for(next).await;
    let place = admin
        .run("document.querySelector('[rel=next]').scrollIntoView(); return scrollY")
        .await;
    assert!(place.as_f64().unwrap() > 500.0);
    // It is noted when the scrolling has come to rest.
    assert!(
        admin
            .wait_until("return Math.abs(history.state?.place - scrollY) < 1")
            .await
    );
    admin.click(next).await;
    assert!(
        admin.wait_until(&begins_with("Guest 19")).await,
        "{}",
        admin.text().await
    );
    // Nobody has to look for where the list begins.
    assert!(
        admin
            .wait_until("return document.activeElement.id === 'users-heading'")
            .await
    );
    admin.page.back().await.unwrap();
    let is_back =
        format!("return Math.abs(scrollY - {place}) < 1 && document.activeElement.matches('{next}')");
    assert!(admin.wait_until(&is_back).await);

    admin.click(next).await;
    assert!(admin.wait_until(&begins_with("Guest 19")).await);
    admin.click(previous).await;
    admin.wait_for(".people.accounts").await;
    assert!(
        admin
            .wait_until(
                "return !document.querySelector('[rel=prev]') && location.search.startsWith('?before=')"
            )
            .await
    );
}

#[tokio::test]
async fn times_that_are_long_ago_keep_to_their_column() {
    let app = app_with_people().await;
    app.database().execute(
        "insert into ended_sessions (id, user_id, token_digest, ip_address, created_at, last_activity, expires_at, ended_at, reason)
             select gen_random_uuid(), id, sha256(email::bytea), '192.0.2.1', now() - interval '16 days', now() - interval '15 days',
                 now() - interval '14 days', now() - interval '15 days', 'expired'
             from users;
         update users set created_at = created_at - interval '15 days'",
    );
    let admin = at(&app, "/admin/history", 1280).await;
    for (path, column) in [("/admin/history", ".history"), ("/admin/users", ".accounts")] {
        admin.click(&format!("a[href='{path}']")).await;
        admin.wait_for(column).await;
        for width in [940, 1280] {
            resize(&admin, width).await;
            let keeps = format!(
                "const times = [...document.querySelectorAll('{column} td > time:not([data-shown])')];
                 const isInside = (time) => time.getBoundingClientRect().right < time.parentElement.getBoundingClientRect().right;
                 return times.length >= 20 && times.every(isInside)"
            );
            assert!(admin.wait_until(&keeps).await, "{path} at {width}");
        }
    }
}
