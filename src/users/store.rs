//! The table `users`: find, create, update, delete.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::dsl::{delete, exists, insert_into, select, update};
use diesel::prelude::*;
use diesel::sql_types::{Binary, Bool, Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::email::email_digest;
use super::lockout::is_locked_sql;
use super::{Email, Name, PasswordHash, Role};
use crate::db::PgConnection;
use crate::db::clock::now;
use crate::db::prepared::Prepared;
use crate::db::schema::users;

/// An account, without its password.
#[derive(Queryable, QueryableByName, Selectable, Clone, Debug, PartialEq)]
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

/// The facts that decide about a sign-in with an address, together with the password.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Whether wrong passwords have locked the address, with or without an account.
    pub is_locked: bool,
    /// The account, if there is one.
    pub found: Option<Credentials>,
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

/// Finds the account with this address.
pub fn find(conn: &mut PgConnection, email: &Email) -> QueryResult<Option<User>> {
    users::table
        .filter(users::email.eq(email.as_str()))
        .select(User::as_select())
        .first(conn)
        .optional()
}

/// Finds the account whose address has this digest.
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

/// Finds the account with this id.
pub fn find_by_id(conn: &mut PgConnection, id: Uuid) -> QueryResult<Option<User>> {
    users::table
        .find(id)
        .select(User::as_select())
        .first(conn)
        .optional()
}

/// Finds the admins among these users.
pub fn admins_among(conn: &mut PgConnection, ids: &[Uuid]) -> QueryResult<Vec<Uuid>> {
    users::table
        .filter(users::id.eq_any(ids).and(users::role.eq(Role::Admin)))
        .select(users::id)
        .load(conn)
}

/// The columns of [`ClaimedRow`]. The first parameter is the address's digest.
fn claim_sql(rest: &str) -> String {
    format!(
        "select {is_locked} as is_locked, users.id, users.name, users.email, users.role, users.email_verified,
             users.disabled_at, users.created_at, users.password_hash
         {rest}",
        is_locked = is_locked_sql("$1")
    )
}

#[derive(QueryableByName)]
struct ClaimedRow {
    #[diesel(sql_type = Bool)]
    is_locked: bool,
    #[diesel(embed)]
    user: Option<User>,
    #[diesel(sql_type = Nullable<Text>)]
    password_hash: Option<String>,
}

impl From<ClaimedRow> for Claimed {
    fn from(row: ClaimedRow) -> Self {
        let found = row.user.map(|user| credentials((user, row.password_hash)));
        Self {
            is_locked: row.is_locked,
            found,
        }
    }
}

/// Looks up an address before its password is checked, in the same way with and without an account (law 7).
pub fn find_claimed(conn: &mut PgConnection, email: &Email) -> QueryResult<Claimed> {
    let always_one_row = claim_sql("from (values (1)) as one left join users on users.email = $2");
    let statement = diesel::sql_query(always_one_row)
        .bind::<Binary, _>(email.digest().to_vec())
        .bind::<Text, _>(email.as_str());
    let row: ClaimedRow = Prepared::new(statement).get_result(conn)?;
    Ok(row.into())
}

/// Like [`lock`], and also finds out whether the account's address is locked. That is read in the snapshot
/// from before any wait for the row lock.
pub fn lock_claimed(conn: &mut PgConnection, id: Uuid, email: &Email) -> QueryResult<Option<Claimed>> {
    let statement = diesel::sql_query(claim_sql("from users where id = $2 for update"))
        .bind::<Binary, _>(email.digest().to_vec())
        .bind::<SqlUuid, _>(id);
    let row: Option<ClaimedRow> = Prepared::new(statement).get_result(conn).optional()?;
    Ok(row.map(Claimed::from))
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

/// Whether any hash was made with a pepper ([`PasswordHash::is_peppered`]). Reads every row until it finds
/// one.
pub fn any_peppered(conn: &mut PgConnection) -> QueryResult<bool> {
    let peppered = users::table.filter(users::password_hash.like("{devise}%"));
    select(exists(peppered)).get_result(conn)
}

/// Whether there is any account.
pub fn any(conn: &mut PgConnection) -> QueryResult<bool> {
    select(exists(users::table.select(users::id))).get_result(conn)
}

/// Creates an account. `None` if the address is taken.
pub fn create(conn: &mut PgConnection, new: &NewUser) -> QueryResult<Option<User>> {
    insert_into(users::table)
        .values((
            users::name.eq(new.name.as_str()),
            users::email.eq(new.email.as_str()),
            users::searched_email.eq(new.email.searched()),
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

/// Sets the name. Changes no row if the user has this name already.
pub fn rename(conn: &mut PgConnection, id: Uuid, name: &Name) -> QueryResult<usize> {
    update(users::table.find(id).filter(users::name.ne(name.as_str())))
        .set((users::name.eq(name.as_str()), users::updated_at.eq(now())))
        .execute(conn)
}

/// Sets the role. Changes no row if the user has this role already.
pub fn set_role(conn: &mut PgConnection, id: Uuid, role: Role) -> QueryResult<usize> {
    update(users::table.find(id).filter(users::role.ne(role)))
        .set((users::role.eq(role), users::updated_at.eq(now())))
        .execute(conn)
}

/// Marks the address as known to be the user's. Doing so again changes nothing.
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

/// Deletes the account. Foreign keys delete the rows that belong to it.
pub fn remove(conn: &mut PgConnection, id: Uuid) -> QueryResult<usize> {
    delete(users::table.find(id)).execute(conn)
}
