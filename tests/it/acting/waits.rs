//! An act that has to wait for a lock, while the session that asked for it ends.

use diesel::connection::SimpleConnection;
use reqwest::Method;

use super::{OWN_CHANGE, acts, forget_everybody, in_short, state, with_mail};
use crate::support::{Answer, App, RowLock, eventually, waiting};

/// How the admin's session ends while the act waits, and the answer to the act.
const MEANWHILE: [(&str, &str); 2] = [
    (
        "update users set disabled_at = now() where role = 'admin';
         with gone as (delete from sessions using users where users.id = user_id and role = 'admin' returning sessions.*)
         insert into ended_sessions select id, user_id, token_digest, ip_address, user_agent, last_activity,
             expires_at, created_at, now(), 'revoked' from gone",
        "401 session_ended revoked",
    ),
    (
        "update users set role = 'user' where role = 'admin'",
        "403 forbidden",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_that_waits_for_a_lock_is_not_done_when_its_admin_has_ended_meanwhile() {
    let app = App::start_with(with_mail).await;
    for n in 0..acts("", "").len() {
        for (what, answer) in MEANWHILE {
            forget_everybody(&app);
            let root = app.admin().await;
            let ada = app.signed_in("ada").await.session().await.json();
            let id = |what: &str| ada[what]["id"].as_str().unwrap().to_owned();
            let (method, path) = acts(&id("user"), &id("session")).swap_remove(n);
            // A change of one's own account needs no role.
            if path == OWN_CHANGE && answer == "403 forbidden" {
                continue;
            }
            // Makes an account that can be enabled, a lock that can be lifted and a request that can be
            // withdrawn.
            app.database().execute(
                "insert into one_time_links (user_id, purpose, token_digest, email, expires_at)
                 select id, 'email_change', sha256('x'), 'mallory@example.org', now() + interval '1 hour'
                 from users where role = 'admin'",
            );
            app.visitor().login("ada@example.org", "not the password").await;
            if path.ends_with("/enable") {
                app.database()
                    .execute("update users set disabled_at = now() where role = 'user'");
            }
            // The transaction that ends the admin's session has not committed, so the act has to wait.
            let mut ending = app.database().connect();
            ending.batch_execute(&format!("begin; {what}")).unwrap();
            let request = root.request(method.clone(), &path);
            let act = tokio::spawn(async move { Answer::of(request).await });
            eventually("the act waits", async || {
                let waits =
                    "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
                app.database().number(waits) == 1
            })
            .await;
            ending.batch_execute("commit").unwrap();
            let before = state(&app);
            let act = act.await.unwrap();
            assert_eq!(
                in_short(act.status.as_str(), &act.text),
                answer,
                "{method} {path}"
            );
            assert_eq!(state(&app), before, "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_is_not_done_when_the_time_of_its_session_was_up_while_it_waited() {
    let app = App::start().await;
    let root = app.admin().await;
    app.signed_in("ada").await;
    let mut held = RowLock::on(&app, "users where role = 'admin'");
    let request = root.request(Method::DELETE, "/api/admin/sessions");
    let act = tokio::spawn(async move { Answer::of(request).await });
    waiting(&app, 1).await;
    // After the beginning of the act's transaction.
    held.execute(
        "set local oneseat.waits_after_commit = 'on';
         update sessions set expires_at = clock_timestamp() from users where users.id = user_id and role = 'admin'",
    );
    held.let_go();
    act.await.unwrap().expired();
    assert_eq!(app.sessions(), 1);
}
