//! The table `users`: find, create, update, delete.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::dsl::{delete, insert_into, update};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use uuid::Uuid;

use super::{Email, Name, PasswordHash, Role};
use crate::db::clock::now;
use crate::db::schema::users;

#[diesel::declare_sql_function]
extern "SQL" {
    /// [`Email::digest`], as PostgreSQL computes it.
    fn email_digest(email: Text) -> Binary;
}

/// An account, without its password.
#[derive(Queryable, Selectable, Clone, Debug, PartialEq)]
#[diesel(table_name = users, check_for_backend(diesel::pg::Pg))]
pub struct User {
    /// Never changes.
    pub id: Uuid,
    /// What people call them; 1 to 200 characters.
    pub name: String,
    /// See [`Email`].
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// Whether the address is known to be theirs.
    pub email_verified: bool,
    /// Since when they may not sign in.
    pub disabled_at: Option<DateTime<Utc>>,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
}

/// An account and what its password is checked against; null until one is set.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Whose.
    pub user: User,
    /// Without one, no password is right.
    pub password_hash: Option<PasswordHash>,
}

/// A new account.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// What people call them.
    pub name: Name,
    /// Not in use yet.
    pub email: Email,
    /// What they may do.
    pub role: Role,
    /// Whether the address is known to be theirs.
    pub email_verified: bool,
    /// What their password is checked against; none until they choose one.
    pub password_hash: Option<PasswordHash>,
}

/// The account behind an address.
pub fn find(conn: &mut PgConnection, email: &Email) -> QueryResult<Option<User>> {
    users::table
        .filter(users::email.eq(email.as_str()))
        .select(User::as_select())
        .first(conn)
        .optional()
}

/// The account behind an address of which only the digest is known.
pub fn find_by_digest(conn: &mut PgConnection, digest: &[u8]) -> QueryResult<Option<User>> {
    users::table
        .filter(email_digest(users::email).eq(digest))
        .select(User::as_select())
        .first(conn)
        .optional()
}

/// Which of these digests are those of addresses that accounts have.
pub fn known<'a>(
    conn: &mut PgConnection,
    digests: impl Iterator<Item = &'a [u8]>,
) -> QueryResult<HashSet<Vec<u8>>> {
    let digests: Vec<&[u8]> = digests.collect();
    let known: Vec<Vec<u8>> = users::table
        .filter(email_digest(users::email).eq_any(digests))
        .select(email_digest(users::email))
        .load(conn)?;
    Ok(known.into_iter().collect())
}

/// The account with an id.
pub fn find_by_id(conn: &mut PgConnection, id: Uuid) -> QueryResult<Option<User>> {
    users::table
        .find(id)
        .select(User::as_select())
        .first(conn)
        .optional()
}

/// The account behind an address, with what its password is checked against.
pub fn find_credentials(conn: &mut PgConnection, email: &Email) -> QueryResult<Option<Credentials>> {
    users::table
        .filter(users::email.eq(email.as_str()))
        .select((User::as_select(), users::password_hash))
        .first(conn)
        .optional()
        .map(|row| row.map(credentials))
}

/// The same account again, locked until the transaction ends: sign-ins, password changes and disabling of one
/// user happen one after the other.
pub fn lock(conn: &mut PgConnection, id: Uuid) -> QueryResult<Option<Credentials>> {
    users::table
        .find(id)
        .select((User::as_select(), users::password_hash))
        .for_update()
        .first(conn)
        .optional()
        .map(|row| row.map(credentials))
}

/// Several accounts, locked in the same way: in one order, so that two who lock the same ones do not wait for each other.
pub fn lock_all(conn: &mut PgConnection, ids: &[Uuid]) -> QueryResult<Vec<Credentials>> {
    let rows = users::table
        .filter(users::id.eq_any(ids))
        .order(users::id)
        .select((User::as_select(), users::password_hash))
        .for_update()
        .load(conn)?;
    Ok(rows.into_iter().map(credentials).collect())
}

fn credentials((user, password_hash): (User, Option<String>)) -> Credentials {
    Credentials {
        user,
        password_hash: password_hash.map(PasswordHash::from_stored),
    }
}

/// Is there any account?
pub fn any(conn: &mut PgConnection) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(users::table.select(users::id))).get_result(conn)
}

/// Makes an account. `None`: the address is taken.
pub fn create(conn: &mut PgConnection, new: &NewUser) -> QueryResult<Option<User>> {
    insert_into(users::table)
        .values((
            users::name.eq(new.name.as_str()),
            users::email.eq(new.email.as_str()),
            users::role.eq(new.role),
            users::email_verified.eq(new.email_verified),
            users::password_hash.eq(new.password_hash.as_ref().map(PasswordHash::as_str)),
        ))
        .on_conflict(users::email)
        .do_nothing()
        .returning(User::as_returning())
        .get_result(conn)
        .optional()
}

/// Sets what the password is checked against.
pub fn set_password(conn: &mut PgConnection, id: Uuid, hash: &PasswordHash) -> QueryResult<usize> {
    update(users::table.find(id))
        .set((
            users::password_hash.eq(hash.as_str()),
            users::updated_at.eq(now()),
        ))
        .execute(conn)
}

/// Marks the address as known to be theirs; a second time changes nothing.
pub fn set_verified(conn: &mut PgConnection, id: Uuid) -> QueryResult<usize> {
    update(users::table.find(id).filter(users::email_verified.eq(false)))
        .set((users::email_verified.eq(true), users::updated_at.eq(now())))
        .execute(conn)
}

/// Forbids signing in from now on; a second time changes nothing.
pub fn disable(conn: &mut PgConnection, id: Uuid) -> QueryResult<usize> {
    update(users::table.find(id).filter(users::disabled_at.is_null()))
        .set((
            users::disabled_at.eq(now().nullable()),
            users::updated_at.eq(now()),
        ))
        .execute(conn)
}

/// Allows signing in again.
pub fn enable(conn: &mut PgConnection, id: Uuid) -> QueryResult<usize> {
    update(users::table.find(id).filter(users::disabled_at.is_not_null()))
        .set((
            users::disabled_at.eq(None::<DateTime<Utc>>),
            users::updated_at.eq(now()),
        ))
        .execute(conn)
}

/// Deletes the account, and by the foreign key what hangs on it.
pub fn remove(conn: &mut PgConnection, id: Uuid) -> QueryResult<usize> {
    delete(users::table.find(id)).execute(conn)
}
