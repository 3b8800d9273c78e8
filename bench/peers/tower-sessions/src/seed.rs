//! Many sessions: the library's own records, in the bytes that its store would write.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use time::OffsetDateTime;
use tower_sessions::SessionStore;
use tower_sessions::session::{Id, Record};
use tower_sessions_sqlx_store::PostgresStore;
use tower_sessions_sqlx_store::sqlx::{self, PgConnection, PgPool};

use crate::visit::{USER, User, VISIT, Visit};

/// At most this many sessions are written to the file of headers.
const HEADERS: u32 = 10_000;
/// Rows of one insert.
const BATCH: u32 = 10_000;

/// The users, in a table that every application has beside the store's.
const USERS: &str = "create table users (id uuid primary key, name text not null, email text not null unique, \
                     role text not null, disabled_at timestamptz)";

/// Fills an empty database, and writes `headers_file`.
pub(crate) async fn seed(pool: &PgPool, sessions: u32, headers_file: &Path) -> Result<(), Box<dyn Error>> {
    let store = PostgresStore::new(pool.clone());
    store.migrate().await?;
    sqlx::query(USERS).execute(pool).await?;

    let spacing = sessions.div_ceil(HEADERS).max(1);
    let mut headers = BufWriter::new(File::create(headers_file)?);
    let mut some = None;
    let mut transaction = pool.begin().await?;
    for first in (0..sessions).step_by(BATCH as usize) {
        let users: Vec<_> = (first..sessions.min(first + BATCH)).map(user).collect();
        insert_users(&mut transaction, &users).await?;
        let records = users.into_iter().map(record).collect::<Result<Vec<_>, _>>()?;
        for (number, record) in (first..).zip(&records) {
            if number % spacing == 0 {
                writeln!(headers, "Cookie: id={}", record.id)?;
                some = Some(record.id);
            }
        }
        insert_sessions(&mut transaction, &records).await?;
    }
    transaction.commit().await?;
    headers.flush()?;
    sqlx::query("analyze").execute(pool).await?;

    // The store must read what this module wrote.
    if let Some(id) = some {
        store
            .load(&id)
            .await?
            .ok_or("the store does not know a seeded session")?;
    }
    Ok(())
}

/// Inserts many sessions, as the store's `save` inserts one.
async fn insert_sessions(connection: &mut PgConnection, records: &[Record]) -> Result<(), Box<dyn Error>> {
    let ids: Vec<_> = records.iter().map(|record| record.id.to_string()).collect();
    let data = records
        .iter()
        .map(rmp_serde::to_vec)
        .collect::<Result<Vec<_>, _>>()?;
    let expiry_dates: Vec<_> = records.iter().map(|record| record.expiry_date).collect();
    sqlx::query(
        "insert into tower_sessions.session (id, data, expiry_date) \
         select * from unnest($1::text[], $2::bytea[], $3::timestamptz[])",
    )
    .bind(ids)
    .bind(data)
    .bind(expiry_dates)
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_users(connection: &mut PgConnection, users: &[User]) -> sqlx::Result<()> {
    let column = |of: fn(&User) -> &String| -> Vec<String> { users.iter().map(of).cloned().collect() };
    sqlx::query(
        "insert into users (id, name, email, role) \
         select id::uuid, name, email, role from unnest($1::text[], $2::text[], $3::text[], $4::text[]) \
         as new (id, name, email, role)",
    )
    .bind(column(|user| &user.id))
    .bind(column(|user| &user.name))
    .bind(column(|user| &user.email))
    .bind(column(|user| &user.role))
    .execute(connection)
    .await?;
    Ok(())
}

fn user(number: u32) -> User {
    User {
        id: format!("00000000-0000-4000-8000-{number:012x}"),
        name: format!("Person {number}"),
        email: format!("person-{number}@example.com"),
        role: "user".to_owned(),
    }
}

/// A session that somebody opened just now.
fn record(user: User) -> serde_json::Result<Record> {
    let now = OffsetDateTime::now_utc();
    let visit = Visit {
        ip_address: "192.0.2.1".to_owned(),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".to_owned(),
        created_at: now,
        last_activity: now,
    };
    let expiry_date = visit.expires_at();
    let data = [
        (USER.to_owned(), serde_json::to_value(user)?),
        (VISIT.to_owned(), serde_json::to_value(visit)?),
    ];
    Ok(Record {
        id: Id::default(),
        data: data.into(),
        expiry_date,
    })
}
