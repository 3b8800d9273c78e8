//! The laws hold whatever the defaults of the database are.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use oneseat::db::Database as Pool;
use oneseat::users::Role;

use crate::support::{App, Database, PASSWORD, eventually};

/// What an operator may have set for other programs.
const HOSTILE: [(&str, &str); 13] = [
    ("default_transaction_isolation", "repeatable read"),
    ("synchronous_commit", "off"),
    ("timezone", "Pacific/Auckland"),
    ("statement_timeout", "50ms"),
    ("lock_timeout", "10ms"),
    ("client_min_messages", "log"),
    ("exit_on_error", "on"),
    ("standard_conforming_strings", "off"),
    ("transform_null_equals", "on"),
    ("gin_fuzzy_search_limit", "1"),
    ("extra_float_digits", "-15"),
    ("bytea_output", "escape"),
    ("session_replication_role", "replica"),
];

fn hostile() -> Database {
    let database = Database::fresh();
    for (name, value) in HOSTILE {
        database.execute(&format!(
            "do $$ begin execute format('alter database %I set {name} = ''{value}''', current_database()); end $$"
        ));
    }
    database
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sign_in_under_way_outlives_the_end_of_every_session() {
    let app = App::start_on(hostile()).await;
    app.add_user("ada", Role::User).await;
    let mut other = app.database().connect();
    // Where the older session is deleted a sign-in has to wait.
    other
        .batch_execute("begin; lock table sessions in exclusive mode")
        .unwrap();
    let visitor = app.visitor();
    let sign_in = tokio::spawn(async move { visitor.login("ada@example.org", PASSWORD).await });
    eventually("the sign-in waits", async || waiting(&app, "relation") == 1).await;
    let auth = app.auth.clone();
    let ended = tokio::spawn(async move { auth.revoke_all().await });
    eventually("the end waits for the sign-in", async || {
        waiting(&app, "advisory") == 1
    })
    .await;
    other.batch_execute("rollback").unwrap();

    let ada = sign_in.await.unwrap();
    assert_eq!(ended.await.unwrap().unwrap(), 1);
    let ada = app.visitor().with_token(ada.json()["token"].as_str().unwrap());
    assert_eq!(ada.session().await.status, 401);
    assert_eq!(app.sessions(), 0);
}

/// Connections that wait for a lock of this kind.
fn waiting(app: &App, kind: &str) -> i64 {
    app.database().number(&format!(
        "select count(*) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock' and wait_event = '{kind}'"
    ))
}

#[tokio::test]
async fn every_connection_has_the_settings_that_the_laws_rest_on() {
    let database = hostile();
    let pool = Pool::connect(database.url(), 2).unwrap();
    let wanted = |name: &str| match name {
        "default_transaction_isolation" => "read committed",
        "synchronous_commit" => "on",
        "timezone" => "UTC",
        "statement_timeout" => "5s",
        "lock_timeout" => "4s",
        "client_min_messages" => "error",
        "standard_conforming_strings" => "on",
        "exit_on_error" | "transform_null_equals" => "off",
        "gin_fuzzy_search_limit" => "0",
        "extra_float_digits" => "1",
        "bytea_output" => "hex",
        "session_replication_role" => "origin",
        _ => unreachable!("{name}"),
    };
    let mut own = pool.own().await.unwrap();
    for (name, _) in HOSTILE {
        let of_the_pool = pool.run(move |conn| setting(conn, name)).await.unwrap();
        let apart = own.run(move |conn| setting(conn, name)).await.unwrap();
        assert_eq!(
            (of_the_pool.as_str(), apart.as_str()),
            (wanted(name), wanted(name))
        );
    }
    // A program that is frozen between two transactions keeps its lock for a while and not for ever.
    let idle = own.run(|conn| setting(conn, "idle_session_timeout")).await;
    assert_eq!(idle.unwrap(), "5min");
}

fn setting(conn: &mut PgConnection, name: &str) -> Result<String, oneseat::db::Unavailable> {
    let current = diesel::dsl::sql::<Text>("current_setting(")
        .bind::<Text, _>(name)
        .sql(")");
    Ok(diesel::select(current).get_result(conn)?)
}
