//! What a page hears without asking.

use oneseat::auth::{Authority, LastAdmin};
use oneseat::users::{Email, Role};
use serde_json::json;

use super::{ADA, app_with_ada};
use crate::support::{App, Browser, MailServer, PASSWORD, eventually, sql};

/// Ends all sessions for this reason.
fn ended_by_sql(reason: &str) -> String {
    format!(
        "with gone as (delete from sessions returning *)
         insert into ended_sessions select id, user_id, token_digest, ip_address, user_agent, last_activity,
             expires_at, created_at, now(), '{reason}' from gone"
    )
}

#[tokio::test]
async fn signing_in_elsewhere_shows_the_notice_without_a_request() {
    let app = app_with_ada().await;
    let other = app.another_instance().await;
    let first = Browser::open(app.address, "/login").await;
    first.sign_in(ADA).await;
    let second = Browser::open(other.address, "/login").await;
    // What the first page asks of the server from here on, but for its answers to beats.
    first.run("performance.clearResourceTimings()").await;
    second.submit_login(ADA, PASSWORD).await;
    eventually("the seat is taken", async || {
        app.database()
            .number("select count(*) from ended_sessions where reason = 'replaced'")
            == 1
    })
    .await;
    first.wait_for_words("so this page was signed out.").await;
    let asked = "return performance.getEntriesByType('resource').filter(({ name }) => !name.endsWith('/events') && !name.endsWith('/auth/session')).length";
    assert_eq!(first.run(asked).await, 0);
    assert!(!first.text().await.contains(ADA));
    first.click("#sign-in-again").await;
    first.sign_in(ADA).await;
    second.wait_for_words("so this page was signed out.").await;
}

#[tokio::test]
async fn a_page_says_how_its_session_ended() {
    let mails = MailServer::start();
    let app = App::start_with(|config| mails.configure(config)).await;
    app.add_user("ada", Role::User).await;
    let browser = Browser::open(app.address, "/login").await;
    // What happened, what the user can do, and whether the page leads to a new password.
    for (reason, words, advice, leads_to_a_password) in [
        (
            "revoked",
            "An administrator ended your session at",
            "You can sign in again. An administrator can tell you why.",
            false,
        ),
        (
            "password_changed",
            "Your password was changed at",
            "Sign in with the new one. If it was not you, choose another at once.",
            true,
        ),
        (
            "replaced",
            "You were signed in with",
            "You can be signed in at one place at a time. If it was not you, choose a new password.",
            true,
        ),
        (
            "expired",
            "Your session came to its end at",
            "Sessions end after a while without activity. Nothing is wrong.",
            false,
        ),
        ("signed_out", "This session was signed out at", "", false),
        ("page_closed", "when its page was closed.", "", false),
        (
            "restored",
            "the server's data was restored from a backup.",
            "Please sign in again. Nothing is wrong with your account.",
            false,
        ),
        (
            "account_disabled",
            "Your account was disabled or removed at",
            "An administrator can tell you more.",
            false,
        ),
    ] {
        browser.sign_in(ADA).await;
        let email: Email = ADA.parse().unwrap();
        match reason {
            "revoked" => drop(app.auth.revoke_all().await.unwrap()),
            "password_changed" => {
                let password = oneseat::users::Password::chosen(PASSWORD, &[]).unwrap();
                app.auth.set_password(email, password).await.unwrap();
            }
            "replaced" => drop(app.visitor().sign_in(ADA).await),
            "signed_out" | "page_closed" => app.database().execute(&ended_by_sql(reason)),
            "expired" => {
                app.database().execute(&sql::backdate_sessions("3 hours"));
                browser.click(".brand").await;
            }
            "restored" => app.database().execute(sql::BROUGHT_BACK),
            "account_disabled" => app
                .auth
                .disable(email, Authority::Operator, LastAdmin::MayGo)
                .await
                .unwrap(),
            other => panic!("how does a session end as {other}?"),
        }
        browser.wait_for_words(words).await;
        // The first thing that one would do has the focus, and the reason is read out with it.
        let described = browser
            .run(
                "const { id, ariaDescribedByElements } = document.activeElement;
                 return [id, ariaDescribedByElements.map((element) => element.textContent).join(' ')]",
            )
            .await;
        assert_eq!(described[0], "sign-in-again");
        assert!(described[1].as_str().unwrap().contains(words), "{described}");
        let way_out = browser
            .run(
                "const [advice, link] = ['ended-advice', 'ended-way-out'].map((id) => document.getElementById(id));
                 return [advice.textContent, link.checkVisibility(), link.firstElementChild.getAttribute('href')]",
            )
            .await;
        assert_eq!(
            way_out,
            json!([advice, leads_to_a_password, "/forgot"]),
            "{reason}"
        );
        browser.click("#sign-in-again").await;
    }
}

#[tokio::test]
async fn an_end_while_the_listener_is_cut_off_is_shown() {
    let app = app_with_ada().await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    // Every connection is cut and the session ends in the same breath.
    app.database().execute(&format!(
        "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid(); {}",
        ended_by_sql("revoked")
    ));
    browser
        .wait_for_words("An administrator ended your session at")
        .await;
}

#[tokio::test]
async fn an_admin_watches_people_come_and_go_and_ends_a_session() {
    let app = app_with_ada().await;
    app.add_user("root", Role::Admin).await;
    let admin = Browser::open(app.address, "/login").await;
    admin.submit_login("root@example.org", PASSWORD).await;
    admin.click("a[href='/admin/sessions']").await;
    admin.wait_for_words("root@example.org").await;
    assert!(!admin.text().await.contains(ADA));
    // Old enough to be touched by whatever counts as activity.
    app.database().execute(&sql::backdate_sessions("1 hour"));

    let ada = Browser::open(app.address, "/login").await;
    ada.sign_in(ADA).await;
    admin.wait_for_words(ADA).await;
    let untouched = "select count(*) from sessions where last_activity < now() - interval '50 minutes'";
    assert_eq!(app.database().number(untouched), 1, "watching is not activity");
    admin
        .click("[aria-label='End the session of ada@example.org']")
        .await;
    admin.wait_for_words("End the session of").await;
    admin.click("#confirm-yes").await;
    ada.wait_for_words("An administrator ended your session at").await;
    assert!(
        admin
            .wait_until(&format!("return !document.body.innerText.includes('{ADA}')"))
            .await
    );

    // A session that ends by itself, while the admin is asked about it, is gone as wanted. That an account is gone,
    // about which something else was to be done, is told.
    let told =
        |role: &str| format!("return document.querySelector('[role={role}] .toast p')?.textContent ?? ''");
    let ada = app.visitor().sign_in(ADA).await;
    admin.click("a[href='/admin/sessions']").await;
    admin
        .click("[aria-label='End the session of ada@example.org']")
        .await;
    admin.wait_for_words("End the session of").await;
    assert_eq!(ada.logout().await.status, 200);
    admin.click("#confirm-yes").await;
    admin.wait_for_words("is signed out.").await;
    assert_eq!(admin.run(&told("alert")).await, "");
    admin.click("a[href='/admin/users']").await;
    admin.click("[aria-label='Disable ada@example.org']").await;
    admin.wait_for_words("Disable the account of").await;
    let email: Email = ADA.parse().unwrap();
    let removed = app.auth.remove_user(email, Authority::Operator, LastAdmin::MayGo);
    removed.await.unwrap();
    admin.click("#confirm-yes").await;
    admin.wait_for_words("There is no such account").await;
    assert_eq!(admin.run(&told("status")).await, "");

    admin.click("a[href='/admin/history']").await;
    // The statistics say so, too: the address tells the pages apart.
    admin.wait_for_path("/admin/history").await;
    admin.wait_for_words("Ended by an admin").await;
    admin.fill("#q", "nobody").await;
    admin.click(".search [type=submit]").await;
    admin.wait_for_words("No ended session matches").await;
    admin.page.back().await.unwrap();
    admin.wait_for_words("Ended by an admin").await;
}

#[tokio::test]
async fn a_page_that_the_user_chose_is_shown_whatever_is_answered_meanwhile() {
    let app = app_with_ada().await;
    app.visitor().sign_in(ADA).await;
    app.add_user("root", Role::Admin).await;
    let admin = Browser::open(app.address, "/login").await;
    admin.submit_login("root@example.org", PASSWORD).await;
    admin.click("a[href='/admin/sessions']").await;
    admin.wait_for_words(ADA).await;
    // Two answers that come when this test says so.
    admin
        .run(
            "window.held = {};
             const ask = fetch;
             window.fetch = async (...asked) => {
                 const answer = await ask(...asked);
                 const name = asked[1]?.method === 'DELETE' ? 'end' : `${asked[0]}`.endsWith('/history') && 'history';
                 if (name) await new Promise((tell) => { held[name] = tell; });
                 return answer;
             };",
        )
        .await;
    admin
        .click("[aria-label='End the session of ada@example.org']")
        .await;
    admin.wait_for_words("End the session of").await;
    admin.click("#confirm-yes").await;
    assert!(admin.wait_until("return 'end' in held").await);
    admin.click("a[href='/admin/history']").await;
    assert!(admin.wait_until("return 'history' in held").await);
    // Now the list would be shown without the session that has ended.
    admin.run("held.end()").await;
    assert!(
        admin
            .wait_until("return !document.querySelector('button[aria-busy=true]')")
            .await
    );
    admin.run("held.history()").await;
    admin.wait_for_path("/admin/history").await;
    admin.wait_for_words("Ended by an admin").await;
}

#[tokio::test]
async fn the_dashboard_lists_past_sessions() {
    let app = app_with_ada().await;
    app.visitor().sign_in(ADA).await;
    let browser = Browser::open(app.address, "/login").await;
    browser.sign_in(ADA).await;
    browser.wait_for_words("Your recent sessions").await;
    browser.wait_for_words("Signed in elsewhere").await;
}
