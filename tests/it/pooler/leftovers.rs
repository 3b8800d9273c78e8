//! What other clients of the pooler leave on a connection of PostgreSQL has no effect.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use oneseat::db::{Database as Pool, PgConnection, Unavailable};
use oneseat::users::Role;

use crate::support::{App, Database, Pooler, eventually};

/// Each is left behind by one client, in a pool of one connection.
const LEFT: [&str; 22] = [
    "set default_transaction_isolation = 'repeatable read'",
    "set default_transaction_deferrable = on",
    "set synchronous_commit = local",
    "set default_transaction_read_only = on",
    "set oneseat.home_is_known = 'yes'",
    "select pg_advisory_lock(1)",
    "set statement_timeout = '100ms'",
    "set lock_timeout = '1ms'",
    "set idle_in_transaction_session_timeout = '5ms'",
    "set timezone = 'Pacific/Auckland'",
    "set datestyle = 'SQL, DMY'",
    "set bytea_output = 'escape'",
    "set extra_float_digits = -15",
    "set transform_null_equals = on",
    "set standard_conforming_strings = off",
    "set session_replication_role = replica",
    "set search_path = ''",
    "create temp table sessions (id uuid)",
    "set oneseat.waits_after_commit = 'on'",
    "set oneseat.last_admin_may_go = 'on'",
    "set oneseat.names_its_user = 'on'",
    // The last: this role may do nothing of the above.
    "set role pg_read_all_stats",
];

/// The settings that the laws depend on.
const WANTED: [(&str, &str); 12] = [
    ("transaction_isolation", "read committed"),
    ("transaction_deferrable", "off"),
    ("synchronous_commit", "on"),
    ("statement_timeout", "5s"),
    ("lock_timeout", "4s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("timezone", "UTC"),
    ("bytea_output", "hex"),
    ("transform_null_equals", "off"),
    ("session_replication_role", "origin"),
    ("search_path", "public, pg_temp"),
    ("oneseat.last_admin_may_go", "off"),
];

/// Does what a client does that expects a session of its own.
fn leave_behind(pooler: &Pooler) {
    let mut other = diesel::PgConnection::establish(pooler.url()).unwrap();
    for statement in LEFT {
        // Some of these make the next one fail.
        let _ = other.batch_execute(&format!(
            "set exit_on_error = off; set statement_timeout = 0; {statement}"
        ));
    }
    other.batch_execute("set statement_timeout = '100ms'").unwrap();
}

fn setting(conn: &mut PgConnection, name: &str) -> QueryResult<String> {
    let current = diesel::dsl::sql::<Text>("coalesce(current_setting(")
        .bind::<Text, _>(name)
        .sql(", true), '')");
    diesel::select(current).get_result(conn)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_statement_has_the_settings_that_the_laws_rest_on() {
    let database = Database::fresh();
    let pooler = Pooler::start(&database, "transaction", 1);
    let pool = Pool::connect(pooler.url(), 2).unwrap();
    let mut own = pool.own().await.unwrap();
    let mut pinned = pool.pin();
    for (name, wanted) in WANTED {
        leave_behind(&pooler);
        let alone = pinned.run(move |conn| setting(conn, name));
        assert_eq!(alone.unwrap(), wanted, "{name}");
        leave_behind(&pooler);
        let of_the_pool = pool
            .run(move |conn| Ok::<_, Unavailable>(setting(conn, name)?))
            .await
            .unwrap();
        leave_behind(&pooler);
        let apart = own
            .run(move |conn| Ok::<_, Unavailable>(setting(conn, name)?))
            .await
            .unwrap();
        assert_eq!((of_the_pool.as_str(), apart.as_str()), (wanted, wanted), "{name}");
    }
    // A connection for single rows never reads a whole table, however small that is.
    for (name, wanted) in [
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
    ] {
        let alone = pinned.run(move |conn| setting(conn, name));
        assert_eq!(alone.unwrap(), wanted, "{name}");
        let of_the_pool = pool
            .run(move |conn| Ok::<_, Unavailable>(setting(conn, name)?))
            .await
            .unwrap();
        assert_ne!(of_the_pool, wanted, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_serves_on_and_the_last_admin_stays() {
    let database = Database::fresh();
    let pooler = Pooler::start(&database, "transaction", 1);
    leave_behind(&pooler);
    let app = App::start_by(pooler.url(), &database).await;
    leave_behind(&pooler);
    let root = app.admin().await;
    app.add_user("ada", Role::User).await;
    for _ in 0..3 {
        leave_behind(&pooler);
        let ada = app.visitor().sign_in("ada@example.org").await;
        leave_behind(&pooler);
        assert_eq!(ada.session().await.status, 200);
        leave_behind(&pooler);
        let id = root.session().await.json()["user"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let answer = root
            .post(&format!("/api/admin/users/{id}/disable"), &serde_json::json!({}))
            .await;
        assert_eq!(answer.status, 409, "{answer:?}");
        leave_behind(&pooler);
        assert_eq!(ada.logout().await.status, 200);
        assert_eq!(ada.session().await.problem(), "401 session_ended");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_of_the_same_name_that_another_client_has_prepared_is_never_run() {
    let database = Database::fresh();
    let pooler = Pooler::start(&database, "transaction", 1);
    let pool = Pool::connect(pooler.url(), 1).unwrap();
    let mut other = diesel::PgConnection::establish(pooler.url()).unwrap();
    let mut answered = 0;
    for n in 0..40 {
        // Where the pooler keeps names apart, this one is nobody's.
        let taken = format!(
            "prepare __diesel_stmt_{} as select 'of another client'::text",
            n % 4
        );
        let _ = other.batch_execute(&taken);
        let wanted = format!("{n}");
        let answer = pool
            .run(move |conn| {
                let text = diesel::select(wanted.clone().into_sql::<Text>());
                Ok::<_, Unavailable>((text.get_result::<String>(conn)?, wanted))
            })
            .await;
        // It may find that names are not kept apart; then it takes another connection, and none of its statements has a name.
        if let Ok((answer, wanted)) = answer {
            assert_eq!(answer, wanted);
            answered += 1;
        }
    }
    assert!(answered > 30, "{answered}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_database_is_read_only_nothing_is_written_whatever_another_client_has_set() {
    let database = Database::fresh();
    let pooler = Pooler::start(&database, "transaction", 1);
    let pool = Pool::connect(pooler.url(), 1).unwrap();
    let write = async || {
        let written = pool.run(|conn| Ok::<_, Unavailable>(conn.batch_execute("delete from users")?));
        written.await.map_err(|error| error.to_string())
    };
    assert_eq!(write().await, Ok(()));
    let mut other = diesel::PgConnection::establish(pooler.url()).unwrap();
    let name = database.text("select quote_ident(current_database())");
    database.execute(&format!(
        "alter database {name} set default_transaction_read_only = on;
         select count(pg_terminate_backend(pid, 10000)) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()"
    ));
    let refused = "cannot execute DELETE in a read-only transaction";
    eventually("no connection of before is left", async || {
        write()
            .await
            .map_or_else(|error| error.contains(refused), |()| false)
    })
    .await;
    other
        .batch_execute("set default_transaction_read_only = off")
        .unwrap();
    let error = write().await.unwrap_err();
    assert!(error.contains(refused), "{error}");
}
