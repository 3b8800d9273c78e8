//! A list that renews itself while somebody points at it, or works in it.

use fantoccini::actions::{InputSource, MouseActions, PointerAction};
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use oneseat::users::Role;

use super::lists::{FOCUSED, app_with_people, at};
use crate::support::{App, Browser, Gate, PASSWORD};

const END_P5: &str = "[aria-label='End the session of p5@example.org']";

/// A session that began before a list was drawn, and was written later.
const LATE: &str = "insert into users (name, email, email_verified, password_hash) values ('Late', 'late@example.org', true, '');
     insert into sessions (written_at, user_id, token_digest, ip_address, last_activity, expires_at, created_at)
         select now(), id, sha256('late'), '192.0.2.1', now(), now() + interval '1 hour', now() - interval '1 hour'
         from users where email = 'late@example.org'";

/// Moves the mouse there, and leaves it.
async fn point_at(browser: &Browser, element: Element) -> Result<(), CmdError> {
    let over = PointerAction::MoveToElement {
        element,
        duration: None,
        x: 0.0,
        y: 0.0,
    };
    let mouse = MouseActions::new("mouse".to_owned()).then(over);
    browser.page.perform_actions(mouse).await
}

async fn point_at_the(browser: &Browser, selector: &str) {
    browser
        .use_element(selector, async |element| point_at(browser, element).await)
        .await;
}

/// Where that button is on the screen.
async fn place(browser: &Browser) -> f64 {
    let top = format!("return document.querySelector(\"{END_P5}\").getBoundingClientRect().top");
    browser.run(&top).await.as_f64().unwrap()
}

async fn come(app: &App, names: &[&str]) {
    for name in names {
        app.add_user(name, Role::User).await;
        app.visitor().sign_in(&format!("{name}@example.org")).await;
    }
}

fn end_of(name: &str) -> String {
    format!(
        "with gone as (delete from sessions where user_id = (select id from users where email = '{name}@example.org') returning *)
         insert into ended_sessions (id, user_id, token_digest, ip_address, user_agent, last_activity, expires_at, created_at, ended_at, reason)
         select id, user_id, token_digest, ip_address, user_agent, last_activity, expires_at, created_at, now(), 'revoked' from gone"
    )
}

#[tokio::test]
async fn no_row_moves_under_the_pointer() {
    let app = app_with_people().await;
    let admin = at(&app, "/admin/sessions", 1280).await;
    point_at_the(&admin, END_P5).await;
    let before = place(&admin).await;
    come(&app, &["new1", "new2"]).await;
    admin.wait_for_words("2 new. Show them").await;
    app.database().execute(&end_of("p4"));
    app.database().execute(&end_of("p5"));
    let gone = "[data-gone-since]:has([aria-label='End the session of p5@example.org'])";
    admin.wait_for(gone).await;
    admin
        .wait_for("[data-gone-since]:has([aria-label='End the session of p4@example.org'])")
        .await;
    // The last row of all has moved on to no other page.
    let last = "document.querySelector('.people [data-row]:last-of-type')";
    assert_eq!(
        admin
            .run(&format!(
                "return document.querySelector('[rel=next]') ?? {last}.innerText.includes('p30@example.org')"
            ))
            .await,
        true
    );
    app.database().execute(&end_of("p30"));
    let is_gone = format!("return 'goneSince' in {last}.dataset");
    assert!(admin.wait_until(&is_gone).await);
    assert_eq!(place(&admin).await, before);
    assert!(!admin.text().await.contains("new1@example.org"));
    // What has ended says so, and is ended by no click.
    let row = admin.wait_for(gone).await.text().await.unwrap();
    assert!(row.contains("Ended"), "{row}");
    admin.click(END_P5).await;
    assert_eq!(
        admin.run("return document.querySelector('dialog[open]')").await,
        serde_json::Value::Null
    );

    // The pointer goes, and the focus: all are shown as they are.
    admin.run("document.activeElement.blur()").await;
    point_at_the(&admin, "h1").await;
    admin.wait_for_words("new1@example.org").await;
    admin.wait_for_words("new2@example.org").await;
    let text = admin.text().await;
    assert!(
        !text.contains("p5@example.org") && !text.contains("Show them"),
        "{text}"
    );
}

#[tokio::test]
async fn new_rows_are_shown_on_request_while_a_row_has_the_focus() {
    let app = app_with_people().await;
    // More than one page of them.
    app.database().execute(
        "insert into users (name, email) select 'q' || n, 'q' || n || '@example.org' from generate_series(1, 30) as n;
         insert into sessions (written_at, user_id, token_digest, ip_address, last_activity, expires_at, created_at)
             select now(), id, sha256(id::text::bytea), '192.0.2.1', now(), now() + interval '1 hour', now() - interval '50 minutes'
             from users where name like 'q%'",
    );
    let admin = at(&app, "/admin/sessions", 1280).await;
    admin
        .run(&format!("document.querySelector(\"{END_P5}\").focus()"))
        .await;
    let before = place(&admin).await;
    come(&app, &["new1"]).await;
    admin.wait_for_words("1 new. Show it").await;
    assert_eq!(place(&admin).await, before);
    // The last row of the page is on the next one by now, and no less signed in.
    let marked = "return [document.querySelectorAll('[rel=next]').length, document.querySelectorAll('[data-gone-since]').length]";
    assert_eq!(admin.run(marked).await, serde_json::json!([1, 0]));
    assert_eq!(
        admin.run(&format!("return {FOCUSED}")).await,
        "End the session of p5@example.org"
    );
    admin.click(".newer button").await;
    admin.wait_for_words("new1@example.org").await;
    assert!(
        admin
            .wait_until("return document.activeElement.id === 'live-heading'")
            .await
    );
}

#[tokio::test]
async fn a_question_about_many_is_about_those_who_were_there() {
    let app = app_with_people().await;
    let admin = at(&app, "/admin/sessions", 1280).await;
    admin.click("[data-count]").await;
    admin.wait_for_words("End all 30 other sessions?").await;
    // While the number is typed, others come.
    come(&app, &["new1", "new2", "new3"]).await;
    admin.fill("#confirm-typed", "30").await;
    admin.click("#confirm-yes").await;
    admin.wait_for_words("30 sessions ended.").await;
    assert_eq!(app.sessions(), 4);

    // One began before the list was drawn, and was written later: nothing ends, and the question is asked again.
    admin.wait_for_words("End all but mine").await;
    point_at_the(&admin, "h1").await;
    admin.wait_for_words("new3@example.org").await;
    admin.click("[data-count]").await;
    admin.wait_for_words("End all 3 other sessions?").await;
    app.database().execute(LATE);
    admin.click("#confirm-yes").await;
    admin.wait_for_words("End all 4 other sessions?").await;
    assert_eq!(app.sessions(), 5);
    admin.click("#confirm-yes").await;
    admin.wait_for_words("4 sessions ended.").await;
    assert_eq!(app.sessions(), 1);
}

#[tokio::test]
async fn a_question_that_is_asked_again_has_the_number_of_now_although_the_list_renews_itself_meanwhile() {
    let app = App::start().await;
    app.add_user("root", Role::Admin).await;
    come(&app, &["ada", "bob", "eve"]).await;
    let mut gate = Gate::before(app.address).await;
    let admin = Browser::open(gate.address, "/admin/sessions").await;
    admin.submit_login("root@example.org", PASSWORD).await;
    admin.click("[data-count]").await;
    admin.wait_for_words("End all 3 other sessions?").await;
    // The pause before the list renews itself ends when the test says so.
    admin
        .run(
            "const later = setTimeout;
             window.setTimeout = (work, ms, ...more) => ms === 1000 ? void (window.ring = work) : later(work, ms, ...more)",
        )
        .await;
    app.database().execute(LATE);
    assert!(admin.wait_until("return 'ring' in window").await);
    gate.hold("GET /admin/sessions");
    // By the keyboard: the list does not renew itself under a pointer.
    admin.run("document.getElementById('confirm-yes').focus()").await;
    admin.press(char::from(Key::Enter)).await;
    let page = gate.held().await;
    admin.run("ring()").await;
    page.deliver();
    gate.hold_nothing();
    admin.wait_for_words("End all 4 other sessions?").await;
    assert_eq!(app.sessions(), 5);
}

#[tokio::test]
async fn what_was_done_is_taken_back_by_one_key_and_the_focus_returns() {
    let app = app_with_people().await;
    let admin = at(&app, "/admin/users", 1280).await;
    let (enter, f6) = (char::from(Key::Enter), char::from(Key::F6));
    admin
        .run("document.querySelector(\"[aria-label='Disable p5@example.org']\").focus()")
        .await;
    admin.press(enter).await;
    admin.wait_for("dialog[open]").await;
    admin.run("document.getElementById('confirm-yes').focus()").await;
    admin.press(enter).await;
    let is_focused = |label: &str| format!("return {FOCUSED} === '{label}'");
    assert!(admin.wait_until(&is_focused("Enable p5@example.org")).await);
    // It is told to those who listen, and nobody is hurried.
    let told =
        "return document.querySelector('[role=status] .toast').textContent.includes('Press F6 to undo.')";
    assert_eq!(admin.run(told).await, true);
    let on_undo = "return document.activeElement.textContent === 'Undo'";
    admin.press(f6).await;
    assert!(admin.wait_until(on_undo).await);
    admin.press(f6).await;
    assert!(admin.wait_until(&is_focused("Enable p5@example.org")).await);
    admin.press(f6).await;
    assert!(admin.wait_until(on_undo).await);
    admin.press(enter).await;
    admin.wait_for_words("can sign in again.").await;
    assert!(admin.wait_until(&is_focused("Disable p5@example.org")).await);
    assert_eq!(
        app.database()
            .number("select count(*) from users where disabled_at is not null"),
        0
    );
}

#[tokio::test]
async fn no_row_moves_under_a_finger_that_is_about_to_touch_it() {
    let app = app_with_people().await;
    let admin = at(&app, "/admin/sessions", 375).await;
    admin
        .run("document.body.dispatchEvent(new PointerEvent('pointerover', { bubbles: true, pointerType: 'touch' })); document.activeElement.blur()")
        .await;
    admin
        .run("document.querySelector('.newer').scrollIntoView()")
        .await;
    come(&app, &["new1"]).await;
    admin.wait_for_words("1 new. Show it").await;
    assert!(!admin.text().await.contains("new1@example.org"));
    admin.click(".newer button").await;
    admin.wait_for_words("new1@example.org").await;
}
