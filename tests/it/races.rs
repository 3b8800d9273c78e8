//! Many clients at once, over two instances: what PostgreSQL promises holds.

use std::sync::Arc;

use oneseat::auth::{Authority, LastAdmin};
use oneseat::users::{Email, Password, Role};
use reqwest::Method;
use tokio::sync::Barrier;

use crate::support::{Answer, App, PASSWORD, RowLock, hostile, sql, waiting};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_racing_logins_leave_one_row_and_one_working_token() {
    let app = App::start().await;
    let other = app.another_instance().await;
    app.add_user("ada", Role::User).await;
    // Where every statement is compiled first, so many would not get their turn in time on a busy machine.
    let many = if hostile::is_wanted() { 10 } else { 50 };
    let barrier = Arc::new(Barrier::new(many));
    let logins: Vec<_> = (0..many)
        .map(|n| {
            let visitor = if n % 2 == 0 {
                app.visitor()
            } else {
                other.visitor()
            };
            let barrier = barrier.clone();
            tokio::spawn(async move {
                barrier.wait().await;
                visitor.sign_in("ada@example.org").await
            })
        })
        .collect();
    let mut clients = Vec::new();
    for login in logins {
        clients.push(login.await.unwrap());
    }
    let mut working = 0;
    for client in clients {
        let here = client.at(app.address).session().await.status;
        assert_eq!(here, client.at(other.address).session().await.status);
        working += usize::from(here == 200);
    }
    assert_eq!(app.sessions(), 1);
    assert_eq!(working, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_out_racing_requests_is_never_undone() {
    let app = App::start().await;
    let other = app.another_instance().await;
    app.add_user("ada", Role::User).await;
    for _ in 0..10 {
        let ada = app.visitor().sign_in("ada@example.org").await;
        // Old enough to be touched by each of the requests.
        app.database().execute(&sql::backdate_sessions("1 hour"));
        let requests: Vec<_> = (0..8)
            .map(|n| {
                let ada = ada.at(if n % 2 == 0 { app.address } else { other.address });
                tokio::spawn(async move { ada.session().await.status.as_u16() })
            })
            .collect();
        assert_eq!(ada.logout().await.status, 200);
        for request in requests {
            assert!([200, 401].contains(&request.await.unwrap()));
        }
        assert_eq!(ada.session().await.status, 401);
        assert_eq!(app.sessions(), 0);
    }
}

const ADAS_ROW: &str = "users where email = 'ada@example.org'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_session_outlives_a_racing_disable_in_either_order() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let email = "ada@example.org".parse::<Email>().unwrap();
    for disable_first in [false, true] {
        app.auth.enable(email.clone(), Authority::Operator).await.unwrap();
        let holder = RowLock::on(&app, ADAS_ROW);
        let sign_in = || {
            let visitor = app.visitor();
            tokio::spawn(async move { visitor.login("ada@example.org", PASSWORD).await.status.as_u16() })
        };
        let disable = || {
            let (auth, email) = (app.auth.clone(), email.clone());
            tokio::spawn(async move {
                auth.disable(email, Authority::Operator, LastAdmin::MayGo)
                    .await
                    .unwrap()
            })
        };
        let (login, disabled) = if disable_first {
            let disabled = disable();
            waiting(&app, 1).await;
            (sign_in(), disabled)
        } else {
            let login = sign_in();
            waiting(&app, 1).await;
            (login, disable())
        };
        waiting(&app, 2).await;
        holder.let_go();
        disabled.await.unwrap();
        assert_eq!(login.await.unwrap(), if disable_first { 403 } else { 200 });
        assert_eq!(app.sessions(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_that_a_new_password_overtakes_is_refused() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let holder = RowLock::on(&app, ADAS_ROW);
    let (auth, email) = (app.auth.clone(), "ada@example.org".parse::<Email>().unwrap());
    let changed = tokio::spawn(async move {
        auth.set_password(email, Password::chosen("another long password", &[]).unwrap())
            .await
            .unwrap();
    });
    waiting(&app, 1).await;
    let visitor = app.visitor();
    let login = tokio::spawn(async move { visitor.login("ada@example.org", PASSWORD).await });
    waiting(&app, 2).await;
    holder.let_go();
    changed.await.unwrap();
    assert_eq!(login.await.unwrap().problem(), "401 invalid_credentials");
    assert_eq!(app.sessions(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_that_a_lock_overtakes_is_refused_and_the_lock_stays() {
    let app = App::start().await;
    let older = app.signed_in("ada").await;
    let holder = RowLock::on(&app, ADAS_ROW);
    let visitor = app.visitor();
    let login = tokio::spawn(async move { visitor.login("ada@example.org", PASSWORD).await });
    waiting(&app, 1).await;
    for _ in 0..5 {
        app.visitor().login("ada@example.org", "not the password").await;
    }
    holder.let_go();
    assert_eq!(login.await.unwrap().problem(), "403 account_locked");
    assert_eq!(older.session().await.status, 200);
    let locks = "select count(*) from login_failures where locked_until > now()";
    assert_eq!(app.database().number(locks), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_begins_after_the_end_of_the_one_that_it_waited_for() {
    let app = App::start().await;
    app.signed_in("ada").await;
    let mut holder = RowLock::on(&app, "sessions");
    let visitor = app.visitor();
    let login = tokio::spawn(async move { visitor.login("ada@example.org", PASSWORD).await });
    waiting(&app, 1).await;
    // The session ends, as if by another client, at the moment of this statement.
    holder.execute(
        "insert into ended_sessions
             select id, user_id, token_digest, ip_address, user_agent, last_activity, expires_at, created_at,
                 clock_timestamp(), 'revoked' from sessions;
         delete from sessions",
    );
    holder.let_go();
    assert_eq!(login.await.unwrap().status, 200);
    let after = "select count(*) from sessions join ended_sessions using (user_id)
        where sessions.created_at > ended_sessions.ended_at and sessions.created_at = sessions.last_activity";
    assert_eq!(app.database().number(after), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ending_all_sessions_waits_for_a_sign_in_under_way() {
    let app = App::start().await;
    let older = app.signed_in("ada").await;
    app.visitor().login("ada@example.org", "not the password").await;
    // The last step of a sign-in deletes the failures: at this point it has its session and has not
    // committed.
    let holder = RowLock::on(&app, "login_failures");
    let visitor = app.visitor();
    let login = tokio::spawn(async move { visitor.sign_in("ada@example.org").await });
    waiting(&app, 1).await;
    let auth = app.auth.clone();
    let ended = tokio::spawn(async move { auth.revoke_all().await.unwrap() });
    waiting(&app, 2).await;
    holder.let_go();
    let newer = login.await.unwrap();
    assert_eq!(ended.await.unwrap(), 1);
    for client in [older, newer] {
        assert_eq!(client.session().await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_leave_in_the_middle_of_a_login_cost_nothing_lasting() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let visitor = app.visitor();
    for _ in 0..100 {
        let login = visitor.login("ada@example.org", PASSWORD);
        let _ = tokio::time::timeout(std::time::Duration::from_millis(3), login).await;
    }
    // Clients that stay are served, and there is one session, whichever client was last.
    let ada = app.visitor().sign_in("ada@example.org").await;
    assert_eq!(app.sessions(), 1);
    drop(ada);
}

/// The address that the button of the list calls which ends all that it shows.
fn button(page: &str) -> String {
    let (_, rest) = page.split_once("data-delete=\"/api/admin/sessions?").unwrap();
    let query = rest.split('"').next().unwrap();
    format!("/api/admin/sessions?{}", query.replace("&#38;", "&"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_of_a_list_leaves_those_alone_who_sign_in_after_it_was_drawn() {
    let app = App::start().await;
    let other = app.another_instance().await;
    let admin = app.admin().await;
    let mut seen = Vec::new();
    for n in 0..4 {
        seen.push(app.signed_in(&format!("seen{n}")).await);
        app.add_user(&format!("late{n}"), Role::User).await;
    }
    for (round, list) in ["/admin/sessions", "/admin/sessions?q=@example.org"]
        .into_iter()
        .enumerate()
    {
        let end = button(&admin.get(list).await.text);
        let barrier = Arc::new(Barrier::new(5));
        let comers: Vec<_> = (0..4)
            .map(|n| {
                let visitor = if n % 2 == 0 {
                    app.visitor()
                } else {
                    other.visitor()
                };
                let barrier = barrier.clone();
                tokio::spawn(async move {
                    barrier.wait().await;
                    visitor.sign_in(&format!("late{n}@example.org")).await
                })
            })
            .collect();
        barrier.wait().await;
        let answer = Answer::of(admin.request(Method::DELETE, &end)).await;
        // In the second round those of the first are on the list. They sign in again meanwhile, or are ended before.
        let ended = answer.json()["ended"].as_u64().unwrap();
        assert!(if round == 0 { ended == 4 } else { ended <= 4 }, "{end}: {ended}");
        for comer in comers {
            let late = comer.await.unwrap();
            assert_eq!(late.session().await.status, 200, "{end}");
        }
        for gone in &seen {
            assert_eq!(gone.session().await.json()["reason"], "revoked", "{end}");
        }
    }
}
