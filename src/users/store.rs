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
    /// [`Email::digest`], computed by PostgreSQL.
    fn email_digest(email: Text) -> Binary;
}

/// An account, without its password.
#[derive(Queryable, Selectable, Clone, Debug, PartialEq)]
#[diesel(table_name = users, check_for_backend(diesel::pg::Pg))]
pub struct User {
    /// The id, which never changes.
    pub id: Uuid,
    /// The user's name, 1 to 200 characters.
    pub name: String,
    /// The address, in the form of [`Email`].
    pub email: String,
    /// The user's role.
    pub role: Role,
    /// Whether the address is known to be the user's.
    pub email_verified: bool,
    /// When the account was disabled, if it is.
    pub disabled_at: Option<DateTime<Utc>>,
    /// When the account was created.
    pub created_at: DateTime<Utc>,
}

/// An account and its password hash.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The account.
    pub user: User,
    /// `None` until a password is set; no password is right then.
    pub password_hash: Option<PasswordHash>,
}

/// A new account.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The user's name.
    pub name: Name,
    /// An address that no account has yet.
    pub email: Email,
    /// The user's role.
    pub role: Role,
    /// Whether the address is known to be the user's.
    pub email_verified: bool,
    /// The password's hash; `None` until the user chooses a password.
    pub password_hash: Option<PasswordHash>,
}

/// Finds the account with an address.
pub fn find(conn: &mut PgConnection, email: &Email) -> QueryResult<Option<User>> {
    users::table
        .filter(users::email.eq(email.as_str()))
        .select(User::as_select())
        .first(conn)
        .optional()
}

/// Finds the account whose address has a digest.
pub fn find_by_digest(conn: &mut PgConnection, digest: &[u8]) -> QueryResult<Option<User>> {
    users::table
        .filter(email_digest(users::email).eq(digest))
        .select(User::as_select())
        .first(conn)
        .optional()
}

/// Finds out which of these digests belong to addresses of accounts.
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

/// Finds the account with an id.
pub fn find_by_id(conn: &mut PgConnection, id: Uuid) -> QueryResult<Option<User>> {
    users::table
        .find(id)
        .select(User::as_select())
        .first(conn)
        .optional()
}

/// Finds the account with an address, and its password hash.
pub fn find_credentials(conn: &mut PgConnection, email: &Email) -> QueryResult<Option<Credentials>> {
    users::table
        .filter(users::email.eq(email.as_str()))
        .select((User::as_select(), users::password_hash))
        .first(conn)
        .optional()
        .map(|row| row.map(credentials))
}

/// Finds an account and locks it until the transaction ends: sign-ins, password changes and disabling of one
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

/// Finds and locks several accounts, in the order of their ids, so that concurrent callers do not deadlock.
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

/// Creates an account. `None`: the address is taken.
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

/// Sets the password hash.
pub fn set_password(conn: &mut PgConnection, id: Uuid, hash: &PasswordHash) -> QueryResult<usize> {
    update(users::table.find(id))
        .set((
            users::password_hash.eq(hash.as_str()),
            users::updated_at.eq(now()),
        ))
        .execute(conn)
}

/// Marks the address as the user's. Doing so again changes nothing.
pub fn set_verified(conn: &mut PgConnection, id: Uuid) -> QueryResult<usize> {
    update(users::table.find(id).filter(users::email_verified.eq(false)))
        .set((users::email_verified.eq(true), users::updated_at.eq(now())))
        .execute(conn)
}

/// Forbids signing in from now on. Doing so again changes nothing.
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

/// Deletes the account, and by foreign keys what belongs to it.
pub fn remove(conn: &mut PgConnection, id: Uuid) -> QueryResult<usize> {
    delete(users::table.find(id)).execute(conn)
}
