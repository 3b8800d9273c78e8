//! Writes many rows in one statement.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz};
use uuid::Uuid;

use super::ImportedUser;
use crate::db::PgConnection;
use crate::db::schema::users;
use crate::users::{PasswordHash, Role, User};

/// A row to be written together with others.
#[derive(Debug)]
pub struct NewRow {
    /// The account.
    pub user: ImportedUser,
    /// How many of the other rows come after it in the file. If the row has no time of creation, its account
    /// becomes older than the last one by as many microseconds, so that lists keep the order of the file.
    pub after: i64,
}

/// The outcome of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The account was added, with this id and role.
    Added(Uuid, Role),
    /// The account existed already, with the values of the row. What its user may have done since is no
    /// difference: choosing a new password, and verifying the address.
    Unchanged,
    /// The account existed already, with other values in these columns. It stays as it is.
    Different(Vec<&'static str>),
}

/// Adds the accounts that do not exist yet, all of them or none. No two rows have the same address.
pub fn insert(conn: &mut PgConnection, rows: &[NewRow]) -> QueryResult<Vec<Imported>> {
    let added = insert_new(conn, rows)?;
    let mut there = HashMap::new();
    if added.len() < rows.len() {
        let others = rows.iter().map(|row| row.user.email.as_str());
        let others: Vec<&str> = others.filter(|email| !added.contains_key(*email)).collect();
        // Read them after the insertion, which has waited for transactions that added one of them at the same
        // time.
        let found: Vec<(User, Option<String>)> = users::table
            .filter(users::email.eq_any(others))
            .select((User::as_select(), users::password_hash))
            .load(conn)?;
        there.extend(
            found
                .into_iter()
                .map(|(user, hash)| (user.email.clone(), (user, hash))),
        );
    }
    let outcome = |NewRow { user: row, .. }: &NewRow| {
        if let Some(id) = added.get(row.email.as_str()) {
            return Imported::Added(*id, row.role);
        }
        match there.remove(row.email.as_str()) {
            Some((user, hash)) => compared(row, &user, hash),
            // The account was removed between the two statements.
            None => Imported::Different(vec!["email"]),
        }
    };
    Ok(rows.iter().map(outcome).collect())
}

/// Adds the accounts in the order of the rows. Returns the addresses and ids of those that were added.
fn insert_new(conn: &mut PgConnection, rows: &[NewRow]) -> QueryResult<HashMap<String, Uuid>> {
    #[derive(QueryableByName)]
    struct Added {
        #[diesel(sql_type = Text)]
        email: String,
        #[diesel(sql_type = diesel::sql_types::Uuid)]
        id: Uuid,
    }
    fn column<'a, T>(rows: &'a [NewRow], value: impl Fn(&'a ImportedUser) -> T) -> Vec<T> {
        rows.iter().map(|row| value(&row.user)).collect()
    }
    let added: Vec<Added> = diesel::sql_query(
        "insert into users (email, searched_email, name, role, email_verified, disabled_at, created_at, password_hash)
         select email, searched_email, name, role, is_verified, case when is_disabled then now() end, coalesce(created_at, now() - after * interval '1 microsecond'), hash
         from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) with ordinality
             as given (email, searched_email, name, role, is_verified, is_disabled, created_at, hash, after, at)
         order by at
         on conflict (email) do nothing
         returning email, id",
    )
    .bind::<Array<Text>, _>(column(rows, |row| row.email.as_str()))
    .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.email.searched()))
    .bind::<Array<Text>, _>(column(rows, |row| row.name.as_str()))
    .bind::<Array<Text>, _>(column(rows, |row| row.role))
    .bind::<Array<Bool>, _>(column(rows, |row| row.email_verified))
    .bind::<Array<Bool>, _>(column(rows, |row| row.is_disabled))
    .bind::<Array<Nullable<Timestamptz>>, _>(column(rows, |row| row.created_at))
    .bind::<Array<Nullable<Text>>, _>(column(rows, |row| {
        row.password_hash.as_ref().map(PasswordHash::as_str)
    }))
    .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.after).collect::<Vec<i64>>())
    .load(conn)?;
    Ok(added.into_iter().map(|row| (row.email, row.id)).collect())
}

fn compared(row: &ImportedUser, user: &User, hash: Option<String>) -> Imported {
    let hash = hash.map(PasswordHash::from_stored);
    let is_hash = match (&row.password_hash, hash) {
        (None, _) => true,
        (Some(given), Some(stored)) => *given == stored || stored.is_ours(),
        (Some(_), None) => false,
    };
    let is_created = row
        .created_at
        .is_none_or(|given| given.timestamp_micros() == user.created_at.timestamp_micros());
    let others: Vec<&'static str> = [
        ("name", row.name.as_str() == user.name),
        ("role", row.role == user.role),
        ("verified", user.email_verified || !row.email_verified),
        ("disabled", row.is_disabled == user.disabled_at.is_some()),
        ("created", is_created),
        ("hash", is_hash),
    ]
    .into_iter()
    .filter_map(|(column, is_same)| (!is_same).then_some(column))
    .collect();
    if others.is_empty() {
        Imported::Unchanged
    } else {
        Imported::Different(others)
    }
}
