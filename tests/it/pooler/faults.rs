//! The pooler and the connections behind it come and go.

use oneseat::users::Role;

use super::{LOCKS, MODES, Pooled};
use crate::support::{App, Client, Database, Pooler, eventually};

/// Whether this client gets the expected answer. The only other answer that is allowed is 503.
async fn is_answered(client: &Client, expected: u16) -> bool {
    let status = client.session().await.status;
    assert!(
        status == expected || status == 503,
        "{status} instead of {expected}"
    );
    status == expected
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_let_in_or_thrown_out_while_connections_are_lost() {
    for mode in MODES {
        let mut pooled = Pooled::start(mode).await;
        let ada = pooled.first.signed_in("ada").await;
        let gone = pooled.first.signed_in("grace").await;
        assert_eq!(gone.logout().await.status, 200);
        let (ada, gone) = (ada.at(pooled.second.address), gone.at(pooled.second.address));
        for round in 0..8 {
            match round % 4 {
                0 => pooled.database.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity
                         where datname = current_database() and pid <> pg_backend_pid()",
                ),
                1 => {
                    pooled.pooler.kill();
                    assert!(!is_answered(&gone, 401).await, "nobody is asked");
                    pooled.pooler.begin();
                }
                // In session mode, a pause waits for the end of every session.
                3 if mode == "transaction" => {
                    pooled.pooler.command("pause");
                    pooled.pooler.command("resume");
                }
                _ => pooled.pooler.command("reconnect"),
            }
            for (client, expected) in [(&gone, 401), (&ada, 200)] {
                eventually("it is answered again", async || {
                    is_answered(client, expected).await
                })
                .await;
            }
        }
        eventually("a seat is taken again", async || {
            let answer = pooled
                .first
                .visitor()
                .login("grace@example.org", crate::support::PASSWORD)
                .await;
            answer.status == 200
        })
        .await;
        eventually("no lock stays behind", async || {
            pooled.database.number(LOCKS) == 0
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_database_revives_nobody_although_no_connection_of_ours_is_lost() {
    let database = Database::fresh();
    let pooler = Pooler::start(&database, "transaction", 5);
    let app = App::start_by(pooler.url(), &database).await;
    app.add_user("ada", Role::User).await;
    let ada = app.visitor().sign_in("ada@example.org").await;
    let linus = app.signed_in("linus").await;
    // No client may be connected to a database that is copied.
    pooler.command("pause");
    let copy = database.copy();
    pooler.command("resume");
    eventually("she is signed out", async || ada.logout().await.status == 200).await;
    database.replace_with(copy);
    for client in [&ada, &linus] {
        eventually("the copy is served", async || is_answered(client, 401).await).await;
        assert_eq!(client.session().await.json()["reason"], "restored");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_whose_connections_are_all_taken_is_no_answer() {
    let database = Database::fresh();
    let pooler = Pooler::start(&database, "transaction", 1);
    let app = App::start_by(pooler.url(), &database).await;
    let ada = app.signed_in("ada").await;
    pooler.command("pause");
    // What is remembered is given for a lease, and then there is nothing.
    eventually("nobody is asked", async || ada.session().await.status == 503).await;
    pooler.command("resume");
    eventually("she is answered again", async || {
        ada.session().await.status == 200
    })
    .await;
}
