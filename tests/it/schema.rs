//! The migrations, and the schema file that the code is compiled against.

use std::process::Command;

use diesel::{Connection, PgConnection};
use diesel_migrations::MigrationHarness;
use oneseat::db::migrations::{self, MIGRATIONS};
use oneseat::users::Role;

use crate::support::{App, Database};

/// Where `script/schema` puts Diesel's own tool.
const DIESEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/bin/diesel");

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/db/schema.rs");

#[test]
fn schema_rs_is_what_the_database_says() {
    let database = Database::fresh();
    let printed = Command::new(DIESEL)
        .args(["print-schema", "--database-url", database.url()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("diesel is missing: script/test installs it");
    assert!(
        printed.status.success(),
        "{}",
        String::from_utf8_lossy(&printed.stderr)
    );
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(SCHEMA, &printed.stdout).unwrap();
    }
    let compiled = std::fs::read_to_string(SCHEMA).unwrap();
    assert_eq!(String::from_utf8(printed.stdout).unwrap().trim(), compiled.trim());
}

#[test]
fn migrations_go_down_and_up_again() {
    let database = Database::fresh();
    let tables = "select count(*) from information_schema.tables where table_schema = 'public' \
                  and table_name <> '__diesel_schema_migrations'";
    let before = database.number(tables);
    let mut connection = PgConnection::establish(database.url()).unwrap();
    connection.revert_all_migrations(MIGRATIONS).unwrap();
    assert_eq!(database.number(tables), 0);
    migrations::run(database.url()).unwrap();
    assert_eq!(database.number(tables), before);
}

#[test]
fn an_address_that_was_written_by_hand_gets_its_form() {
    let database = Database::fresh();
    let mut connection = PgConnection::establish(database.url()).unwrap();
    // keep_accounts_that_can_be_signed_in_to, and whatever comes after it.
    while connection.revert_last_migration(MIGRATIONS).unwrap().to_string() != "20261127000013" {}
    database
        .execute("insert into users (name, email) values ('Ada', ' Ada@Example.org'), ('Grace', 'grace@x')");
    migrations::run(database.url()).unwrap();
    let mended = "select count(*) from users where email in ('ada@example.org', 'grace@x')";
    assert_eq!(database.number(mended), 2);
}

#[test]
fn racing_instances_migrate_once() {
    let database = Database::fresh();
    PgConnection::establish(database.url())
        .unwrap()
        .revert_all_migrations(MIGRATIONS)
        .unwrap();
    let applied: usize = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| migrations::run(database.url()).unwrap().len()))
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).sum()
    });
    let recorded = database.number("select count(*) from __diesel_schema_migrations");
    assert_eq!(i64::try_from(applied).unwrap(), recorded);
}

#[test]
fn a_database_of_a_newer_program_is_refused() {
    let database = Database::fresh();
    database.execute("insert into __diesel_schema_migrations (version) values ('29991231235959')");
    let refused = migrations::run(database.url()).unwrap_err();
    assert!(refused.to_string().contains("29991231235959"), "{refused}");
}

#[tokio::test]
async fn an_instance_goes_on_while_a_newer_one_adds_columns() {
    let app = App::start().await;
    let cycle = async |name: &str| {
        let visitor = app.visitor();
        let email = format!("{name}@example.org");
        assert_eq!(visitor.login(&email, "not the password").await.status, 401);
        let first = visitor.sign_in(&email).await;
        let second = visitor.sign_in(&email).await;
        assert_eq!(first.session().await.problem(), "401 session_ended");
        assert_eq!(second.logout().await.status, 200);
    };
    app.add_user("ada", Role::User).await;
    // Every statement is prepared by then.
    cycle("ada").await;
    for table in [
        "users",
        "login_failures",
        "known_origins",
        "sessions",
        "ended_sessions",
    ] {
        app.database()
            .execute(&format!("alter table {table} add column of_a_newer_version text"));
    }
    cycle("ada").await;
}

#[test]
fn the_first_law_is_a_constraint() {
    let database = Database::fresh();
    let unique =
        "select count(*) from pg_constraint where conname = 'sessions_user_id_key' and contype = 'u'";
    assert_eq!(database.number(unique), 1);
}

/// Why migrating this database is refused.
fn refusal(url: &str) -> String {
    migrations::run(url).unwrap_err().to_string()
}

/// The connection string of another database or role at the same server.
fn with(url: &str, from: &str, to: &str) -> String {
    let (start, rest) = url.split_once(from).unwrap();
    format!("{start}{to}{rest}")
}

#[test]
fn a_database_that_cannot_hold_everybodys_name_is_refused_with_the_remedy() {
    let database = Database::fresh();
    let name = database.text("select current_database()");
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let narrow = format!("{name}_narrow");
        database.execute(&format!(
            "create database {narrow} encoding '{encoding}' lc_collate 'C' lc_ctype 'C' template template0"
        ));
        let refused = refusal(&with(database.url(), &format!("/{name}"), &format!("/{narrow}")));
        assert!(
            refused.contains(encoding) && refused.contains("encoding 'UTF8'"),
            "{refused}"
        );
        database.execute(&format!("drop database {narrow}"));
    }
}

#[test]
fn where_tables_cannot_be_made_the_remedy_is_told() {
    let database = Database::fresh();
    PgConnection::establish(database.url())
        .unwrap()
        .revert_all_migrations(MIGRATIONS)
        .unwrap();
    database.execute("drop table __diesel_schema_migrations");
    let own = database.text("select quote_ident(current_user)");
    let name = database.text("select current_database()");
    for (setting, words) in [
        (
            "set default_transaction_read_only = on",
            "default_transaction_read_only = off",
        ),
        ("set search_path = nowhere", "create schema oneseat authorization"),
    ] {
        database.execute(&format!(
            "set transaction_read_only = off; alter database {name} {setting}"
        ));
        let url = format!("{}&target_session_attrs=any", database.url());
        let refused = refusal(&url);
        assert!(refused.contains(words), "{refused}");
        database.execute(&format!(
            "set transaction_read_only = off; alter database {name} reset all"
        ));
    }
    database.execute(&format!(
        "create role {name}_guest login; revoke create on schema public from public"
    ));
    let refused = refusal(&with(
        database.url(),
        &format!("{own}@"),
        &format!("{name}_guest@"),
    ));
    assert!(
        refused.contains(&format!("grant create on schema public to {name}_guest")),
        "{refused}"
    );
    assert_eq!(
        database.number("select count(*) from pg_tables where schemaname = 'public'"),
        0
    );
    database.execute(&format!("drop role {name}_guest"));
}
