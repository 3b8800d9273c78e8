//! The database refuses values that the program cannot read, even from plain SQL.

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use diesel_migrations::MigrationHarness;
use oneseat::db::migrations::{self, MIGRATIONS};
use oneseat::users::Role;

use crate::support::{App, Database, PASSWORD, eventually};

/// Times that RFC 3339 cannot express, or chrono cannot hold.
const TIMES: [&str; 4] = [
    "infinity",
    "-infinity",
    "10000-01-01 00:00Z",
    "0044-03-15 00:00Z BC",
];

/// A row in each table that has times.
const ROWS: &str = "
    insert into users (name, email) values ('Eve', 'eve@example.org');
    insert into sessions (written_at, user_id, token_digest, ip_address, last_activity, expires_at, created_at, ends_at)
        select now(), id, sha256('eve'), '192.0.2.1', now(), now() + interval '1 hour', now(), now() + interval '1 day'
        from users where name = 'Eve';
    insert into ended_sessions select gen_random_uuid(), user_id, sha256('x'), ip_address, null, now(), now(), now(), now(), 'revoked'
        from sessions limit 1;
    insert into login_failures values (sha256('eve'), 1, now());
    insert into one_time_links select id, 'invitation', sha256('x'), email, now() from users where name = 'Eve';
    insert into mails (kind, email_digest) values ('invitation', sha256('eve'));
    insert into mail_requests values (sha256('eve'), 'invitation', 1);
    insert into known_origins select id, sha256('x'), now(), now() from users where name = 'Eve';
    insert into service_clients (name, secret_digest) values ('s', sha256('s'))";

/// Every column with a time that the program reads, as a table and its columns. It does not read
/// `written_at`.
fn times(database: &Database) -> Vec<(String, Vec<String>)> {
    let columns = database.text(
        "select string_agg(words, ' ') from (
             select table_name || ':' || string_agg(column_name, ',') from information_schema.columns
             where table_schema = 'public' and data_type = 'timestamp with time zone' and column_name <> 'written_at'
             group by table_name order by table_name) as tables (words)",
    );
    let table = |words: &str| {
        let (table, columns) = words.split_once(':').unwrap();
        (table.to_owned(), columns.split(',').map(str::to_owned).collect())
    };
    columns.split(' ').map(table).collect()
}

#[test]
fn plain_sql_writes_no_time_that_the_program_cannot_read() {
    let database = Database::fresh();
    database.execute(ROWS);
    database.execute("insert into undelivered_mails values (sha256('eve'), 'invitation', 'why')");
    let times = times(&database);
    assert_eq!(times.len(), 10, "{times:?}");
    let mut operator = database.operator();
    for (table, columns) in times {
        for column in columns {
            for time in TIMES {
                let write = format!("update {table} set {column} = '{time}'");
                let refused = operator.batch_execute(&write).unwrap_err().to_string();
                assert!(
                    refused.contains(&format!("\"{table}_")) && refused.contains("times_in_range\""),
                    "{write}: {refused}"
                );
            }
            // The bounds themselves can be read.
            for time in ["0001-01-01 00:00Z", "9999-12-31 23:59:59.999999Z"] {
                let write = format!("begin; update {table} set {column} = '{time}'; rollback");
                operator.batch_execute(&write).unwrap();
            }
        }
    }
    for (write, constraint) in [
        (
            "update sessions set idle_timeout = '-1 s'",
            "sessions_idle_timeout_in_range",
        ),
        (
            "update sessions set idle_timeout = '170000000 years'",
            "sessions_idle_timeout_in_range",
        ),
        (
            "update validation_lease set previous = '-1 s'",
            "validation_lease_previous_range",
        ),
        (
            "update validation_lease set previous = '1 month'",
            "validation_lease_previous_range",
        ),
    ] {
        let refused = operator.batch_execute(write).unwrap_err().to_string();
        assert!(refused.contains(constraint), "{write}: {refused}");
    }
}

/// Drops the constraints again, as in an earlier version.
fn before_the_constraints(database: &Database) {
    let mut connection = PgConnection::establish(database.url()).unwrap();
    // refuse_values_that_cannot_be_read, with the repair and the validation, and whatever comes after them.
    while connection.revert_last_migration(MIGRATIONS).unwrap().to_string() != "20261127000018" {}
}

#[tokio::test]
async fn rows_that_an_earlier_version_let_in_are_repaired_and_such_a_session_is_over() {
    for time in TIMES {
        let app = App::start().await;
        let grace = app.signed_in("grace").await;
        let ada = app.signed_in("ada").await;
        before_the_constraints(app.database());
        app.database().execute(ROWS);
        for (table, columns) in times(app.database()) {
            let of_one = match table.as_str() {
                "sessions" => "where user_id <> (select id from users where name = 'grace')",
                "users" => "where name <> 'grace'",
                _ => "",
            };
            let all: Vec<_> = columns
                .iter()
                .map(|column| format!("{column} = '{time}'"))
                .collect();
            app.database()
                .execute(&format!("update {table} set {} {of_one}", all.join(", ")));
        }
        app.database()
            .execute("update validation_lease set previous = '1 month'");
        migrations::run(app.database().url()).unwrap();

        assert_eq!(grace.session().await.status, 200, "{time}");
        assert_eq!(ada.session().await.problem(), "401 session_ended", "{time}");
        let other = app.another_instance().await;
        let root = other.admin().await;
        for list in ["sessions", "users", "history"] {
            assert_eq!(
                root.get(&format!("/api/admin/{list}")).await.status,
                200,
                "{time} {list}"
            );
        }
        // The other instance may be at its first sweep.
        eventually("all of it is swept", async || {
            app.auth.sweep(|_| ()).await.unwrap().is_some()
        })
        .await;
    }
}

/// The columns of `sessions` that say how long one lasts, each with a value above its range and one below.
const OUT_OF_RANGE: [(&str, &str, &str); 5] = [
    ("created_at", "infinity", "-infinity"),
    ("last_activity", "infinity", "-infinity"),
    ("expires_at", "infinity", "-infinity"),
    ("ends_at", "infinity", "-infinity"),
    ("idle_timeout", "170000000 years", "-1 s"),
];

#[tokio::test]
async fn one_value_out_of_range_is_enough_for_a_session_to_be_over() {
    for is_above in [true, false] {
        let app = App::start().await;
        let grace = app.signed_in("grace").await;
        let mut clients = Vec::new();
        // Each user has the name of the column whose value is bad.
        for (column, _, _) in OUT_OF_RANGE {
            clients.push((column, app.signed_in(column).await));
        }
        before_the_constraints(app.database());
        let changes = OUT_OF_RANGE.map(|(column, above, below)| {
            let value = if is_above { above } else { below };
            format!(
                "update sessions set {column} = '{value}' where user_id = (select id from users where name = '{column}')"
            )
        });
        app.database().execute(&changes.join("; "));
        migrations::run(app.database().url()).unwrap();
        for (column, client) in clients {
            let problem = client.session().await.problem();
            assert_eq!(problem, "401 session_ended", "{column}, above: {is_above}");
        }
        assert_eq!(grace.session().await.status, 200, "above: {is_above}");
    }
}

#[tokio::test]
async fn a_count_of_failures_that_is_full_locks_the_address_and_is_no_error() {
    let app = App::start().await;
    app.add_user("ada", Role::User).await;
    app.database().execute(
        "insert into login_failures select email_digest(email), 2147483647 from users where name = 'ada'",
    );
    let wrong = app.visitor().login("ada@example.org", "not the password").await;
    assert_eq!(wrong.problem(), "401 invalid_credentials");
    let right = app.visitor().login("ada@example.org", PASSWORD).await;
    assert_eq!(right.problem(), "403 account_locked");
}
