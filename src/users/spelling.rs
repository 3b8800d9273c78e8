//! Finds and completes accounts that an older version wrote: their address has another spelling than
//! [`Email`] gives it, or cannot be searched as it is shown.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::{Email, address};
use crate::db::PgConnection;
use crate::db::schema::{login_failures, one_time_links, users};

/// The condition for rows that an older version wrote, as in the index `users_email_spelling_idx`.
const IS_OF_BEFORE: &str =
    "not email_is_spelled(email) or (email like '%@%xn--%' and searched_email is null)";

/// An account and its address.
#[derive(QueryableByName, Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The id of the account.
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    /// The address as it is stored.
    #[diesel(sql_type = Text)]
    pub email: String,
}

/// Finds and locks up to `most` accounts that an older version wrote, with ids above `after`, by id.
pub fn find(conn: &mut PgConnection, after: Uuid, most: i64) -> QueryResult<Vec<Holder>> {
    diesel::sql_query(format!(
        "select id, email from users where ({IS_OF_BEFORE}) and id > $1 order by id limit $2 for update"
    ))
    .bind::<SqlUuid, _>(after)
    .bind::<BigInt, _>(most)
    .load(conn)
}

/// Writes the text by which the address is searched, which is all that its row lacks.
pub fn complete(conn: &mut PgConnection, holder: &Holder, email: &Email) -> QueryResult<()> {
    diesel::update(users::table.find(holder.id))
        .set(users::searched_email.eq(email.searched()))
        .execute(conn)?;
    Ok(())
}

/// Whether there is an account that an older version wrote. Locks nothing.
pub fn any(conn: &mut PgConnection) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Any {
        #[diesel(sql_type = Bool)]
        is_there: bool,
    }
    diesel::sql_query(format!(
        "select exists (select from users where {IS_OF_BEFORE}) as is_there"
    ))
    .get_result(conn)
    .map(|Any { is_there }| is_there)
}

/// Gives the account this address, and moves its lock and its links to it. Returns `false` if another account
/// has the address; then nothing is changed.
pub fn respell(conn: &mut PgConnection, holder: &Holder, email: &Email) -> QueryResult<bool> {
    if !address::set(conn, holder.id, email, None)? {
        return Ok(false);
    }
    let (old, new) = (
        Email::stored(&holder.email).digest().to_vec(),
        email.digest().to_vec(),
    );
    // Failures were counted for each spelling: the account is locked if any of them was.
    let merge = diesel::sql_query(
        "insert into login_failures as f (email_digest, failed_attempts, locked_until, updated_at)
         select $2, failed_attempts, locked_until, updated_at from login_failures where email_digest = $1
         on conflict (email_digest) do update set
             failed_attempts = greatest(f.failed_attempts, excluded.failed_attempts),
             locked_until = greatest(f.locked_until, excluded.locked_until),
             updated_at = greatest(f.updated_at, excluded.updated_at)",
    );
    merge
        .bind::<diesel::sql_types::Binary, _>(&old)
        .bind::<diesel::sql_types::Binary, _>(&new)
        .execute(conn)?;
    diesel::delete(login_failures::table.find(&old)).execute(conn)?;
    let links = one_time_links::table
        .filter(one_time_links::user_id.eq(holder.id))
        .filter(one_time_links::email.eq(&holder.email));
    diesel::update(links)
        .set(one_time_links::email.eq(email.as_str()))
        .execute(conn)?;
    Ok(true)
}

/// The account with this address.
pub fn holder_of(conn: &mut PgConnection, email: &Email) -> QueryResult<Option<Holder>> {
    users::table
        .filter(users::email.eq(email.as_str()))
        .select((users::id, users::email))
        .first(conn)
        .optional()
        .map(|found| found.map(|(id, email)| Holder { id, email }))
}
