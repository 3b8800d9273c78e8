//! How long a mail that was not taken waits for its next try, and when it is given up.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use oneseat::mail::outbox::{self, QueuedMail};

use crate::support::Database;

/// A mail that is tried for the first time after so many tries.
fn tried(database: &Database, attempts: i32) -> QueuedMail {
    database.execute(&format!(
        "delete from mails; insert into mails (kind, email_digest, attempts)
             values ('invitation', email_digest('ada@example.org'), {attempts})"
    ));
    let conn = &mut oneseat::db::connect(database.url()).unwrap();
    outbox::claim(conn).unwrap().unwrap()
}

/// The pause in seconds after a mail could not be sent for the nth time.
fn pause_after(database: &Database, attempts: i32) -> i64 {
    let mail = tried(database, attempts - 1);
    let conn = &mut oneseat::db::connect(database.url()).unwrap();
    // In one transaction, for which the clock stands still.
    conn.transaction(|conn| {
        outbox::postpone(conn, &mail)?;
        diesel::select(diesel::dsl::sql::<BigInt>(
            "(select extract(epoch from due_at - now())::bigint from mails)",
        ))
        .get_result(conn)
    })
    .unwrap()
}

#[test]
fn a_mail_waits_twice_as_long_after_each_try_and_a_quarter_of_an_hour_at_most() {
    let database = Database::fresh();
    let pauses = (1..=10).map(|attempts| pause_after(&database, attempts));
    assert_eq!(
        pauses.collect::<Vec<_>>(),
        [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
    );
    for attempts in [40, 10_000, i32::MAX] {
        assert_eq!(pause_after(&database, attempts), 900, "{attempts}");
    }
}

#[test]
fn only_a_server_that_took_mail_since_the_try_before_refuses_a_recipient() {
    let database = Database::fresh();
    let mut mail = tried(&database, 19);
    let minutes = |minutes: u64| Some(Duration::from_secs(minutes * 60));
    for (took_another, refusals) in [(None, 0), (minutes(16), 0), (minutes(14), 1), (minutes(16), 1)] {
        assert!(!mail.is_refused_too_often(took_another), "{took_another:?}");
        assert_eq!(mail.refusals, refusals, "{took_another:?}");
    }
    mail.refusals = 22;
    assert!(!mail.is_refused_too_often(minutes(14)));
    assert!(!mail.is_refused_too_often(minutes(16)));
    assert!(mail.is_refused_too_often(minutes(14)));
    // At the first try there is no try before.
    let mut mail = tried(&database, 0);
    assert!(!mail.is_refused_too_often(Some(Duration::ZERO)));
    assert_eq!(mail.refusals, 0);
}
