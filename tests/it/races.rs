//! Many clients at once, over two instances: what PostgreSQL promises holds.

use std::sync::Arc;

use oneseat::users::Role;
use tokio::sync::Barrier;

use crate::support::{App, PASSWORD, sql};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_racing_logins_leave_one_row_and_one_working_token() {
    let app = App::start().await;
    let other = app.another_instance().await;
    app.add_user("ada", Role::User).await;
    let barrier = Arc::new(Barrier::new(50));
    let logins: Vec<_> = (0..50)
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_session_outlives_a_racing_disable() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let email = "ada@example.org".parse::<oneseat::users::Email>().unwrap();
    for _ in 0..10 {
        app.auth.enable(email.clone()).await.unwrap();
        let logins: Vec<_> = (0..4)
            .map(|_| {
                let visitor = app.visitor();
                tokio::spawn(async move { visitor.login("ada@example.org", PASSWORD).await.status.as_u16() })
            })
            .collect();
        app.auth.disable(email.clone()).await.unwrap();
        for login in logins {
            assert!([200, 403].contains(&login.await.unwrap()));
        }
        assert_eq!(app.sessions(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_session_with_the_old_password_outlives_a_racing_change() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    let email = "ada@example.org".parse::<oneseat::users::Email>().unwrap();
    let passwords = [PASSWORD, "another long password"];
    for round in 0..6 {
        let (old, new) = (passwords[round % 2], passwords[(round + 1) % 2]);
        let logins: Vec<_> = (0..4)
            .map(|_| {
                let visitor = app.visitor();
                tokio::spawn(async move { visitor.login("ada@example.org", old).await.status.as_u16() })
            })
            .collect();
        let new = oneseat::users::Password::chosen(new).unwrap();
        app.auth.set_password(email.clone(), new).await.unwrap();
        for login in logins {
            assert!([200, 401, 403].contains(&login.await.unwrap()));
        }
        assert_eq!(app.sessions(), 0);
        app.auth.unlock(email.clone()).await.unwrap();
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
    // Whoever stays is served, and has the only seat.
    let ada = app.visitor().sign_in("ada@example.org").await;
    assert!(app.sessions() == 1);
    assert!([200, 401].contains(&ada.session().await.status.as_u16()));
}
