//! The menu of a row on a narrow screen, and messages about what was done.

use fantoccini::key::Key;

use super::lists::{FOCUSED, app_with_people, at};
use crate::support::Browser;

const OPENER: &str = "[aria-label='Actions for p2@example.org']";

async fn is_focused(browser: &Browser, label: &str) {
    let is_there =
        format!("return {FOCUSED} === '{label}' || document.activeElement.textContent === '{label}'");
    let focused = browser.wait_until(&is_there).await;
    assert!(
        focused,
        "{label}: {}",
        browser.run(&format!("return {FOCUSED}")).await
    );
}

#[tokio::test]
async fn dialogs_ask_for_what_is_somebody_elses_and_hold_a_long_name() {
    let app = app_with_people().await;
    app.database()
        .execute("update users set name = repeat('W', 200) where email = 'p2@example.org'");
    let admin = at(&app, "/admin/users", 375).await;
    for (dialog, words) in [
        ("rename", "Enter a name."),
        ("readdress", "Enter an email address."),
    ] {
        let ask = format!(
            "document.querySelector('[data-{dialog}]:is([aria-label*=\"p2@example.org\"])').click();
             const form = document.querySelector('#{dialog} form');
             form.elements[0].value = ''; form.requestSubmit();
             return form.querySelector('.form-error').textContent"
        );
        assert_eq!(admin.run(&ask).await, words);
        admin
            .run(&format!("document.getElementById('{dialog}').close()"))
            .await;
    }
    let fits = "document.querySelector('[aria-label=\"Disable p2@example.org\"]').click();
         const dialog = document.getElementById('confirm');
         return dialog.open && dialog.scrollWidth <= dialog.clientWidth";
    assert_eq!(admin.run(fits).await, true);
}

#[tokio::test]
async fn the_focus_stays_in_a_menu_until_it_is_closed_and_then_goes_back() {
    let app = app_with_people().await;
    let admin = at(&app, "/admin/sessions", 375).await;
    let [enter, escape, tab] = [Key::Enter, Key::Escape, Key::Tab].map(char::from);
    let end = "End the session of p2@example.org";
    admin
        .run(&format!("document.querySelector(\"{OPENER}\").focus()"))
        .await;
    admin.press(enter).await;
    is_focused(&admin, end).await;
    assert_eq!(
        admin
            .run("return document.querySelector(':popover-open').role")
            .await,
        "dialog"
    );
    for label in ["Close", end, "Close"] {
        admin.press(tab).await;
        is_focused(&admin, label).await;
    }
    admin.press(enter).await;
    is_focused(&admin, "Actions for p2@example.org").await;

    // What takes the focus elsewhere closes the menu.
    admin.press(enter).await;
    is_focused(&admin, end).await;
    admin.run("document.getElementById('q').focus()").await;
    is_focused(&admin, "Actions for p2@example.org").await;
    assert!(
        admin
            .wait_until("return !document.querySelector(':popover-open, .menu[role]')")
            .await
    );

    // So does the question, and its no leads back.
    admin.press(enter).await;
    is_focused(&admin, end).await;
    admin.press(enter).await;
    is_focused(&admin, "Cancel").await;
    admin.press(escape).await;
    is_focused(&admin, "Actions for p2@example.org").await;
}

/// Keeps timers of ten seconds and more, which remove messages, in `window.due` until they are cancelled.
const TIMERS: &str = "
    const [set, clear] = [window.setTimeout, window.clearTimeout];
    window.due = new Map();
    window.setTimeout = (then, span, ...rest) => {
        const timer = set(then, span, ...rest);
        if (span === 12_000) due.set(timer, then);
        return timer;
    };
    window.clearTimeout = (timer) => { due.delete(timer); clear(timer); };";

async fn end(admin: &Browser, person: &str) {
    admin
        .click(&format!("[aria-label='End the session of {person}@example.org']"))
        .await;
    admin.click("#confirm-yes").await;
    admin.wait_for(".toast").await;
}

const NO_TOAST: &str = "return document.querySelector('.toast') === null";

#[tokio::test]
async fn words_about_what_was_done_stay_on_their_page_while_somebody_reads_them() {
    let app = app_with_people().await;
    let admin = at(&app, "/admin/sessions", 1280).await;
    admin.run(TIMERS).await;
    end(&admin, "p20").await;
    assert!(admin.wait_until("return due.size === 1").await);
    admin.run("document.querySelector('.toast button').focus()").await;
    assert!(
        admin.wait_until("return due.size === 0").await,
        "nobody is hurried who reads"
    );
    admin.press(char::from(Key::Escape)).await;
    assert!(admin.wait_until(NO_TOAST).await);
    is_focused(&admin, "End the session of p21@example.org").await;

    end(&admin, "p21").await;
    assert!(admin.wait_until("return due.size === 1").await);
    admin.click("a[href='/admin/users']").await;
    admin.wait_for_path("/admin/users").await;
    assert!(admin.wait_until(NO_TOAST).await, "it is about another page");
}
