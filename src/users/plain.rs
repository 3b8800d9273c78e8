//! The column `folded_plain` of users whose name or address is not all ASCII: both in plain letters, for searches.
//! The trigger `users_folded_plain` writes it with each name and address. Rows of an older version are filled in
//! here.

use diesel::dsl::{AssumeNotNull, Like};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Uuid as SqlUuid};
use uuid::Uuid;

use crate::db::PgConnection;
use crate::db::schema::users;

/// The condition for rows that have not been filled in yet, as the index `users_without_folded_plain_idx` has it.
const IS_WITHOUT: &str = "folded_plain is null and octet_length(name || email || coalesce(searched_email, '')) > char_length(name || email || coalesce(searched_email, ''))";

/// Whether the name or the address matches the pattern, in plain letters.
#[diesel::dsl::auto_type(no_type_alias)]
pub fn is_called(pattern: String) -> _ {
    let by_name: Like<users::folded_name, String> = users::folded_name.like(pattern.clone());
    let by_email: Like<users::folded_email, String> = users::folded_email.like(pattern.clone());
    // It is null where name and address are all ASCII.
    let beyond_ascii: AssumeNotNull<Like<users::folded_plain, String>> =
        users::folded_plain.like(pattern).assume_not_null();
    by_name.or(by_email).or(beyond_ascii)
}

/// Whether there are rows to fill in. It only reads.
pub fn any_is_without(conn: &mut PgConnection) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Any {
        #[diesel(sql_type = Bool)]
        is_there: bool,
    }
    diesel::sql_query(format!(
        "select exists (select from users where {IS_WITHOUT}) as is_there"
    ))
    .get_result(conn)
    .map(|Any { is_there }| is_there)
}

/// Fills in up to `most` users with ids after this one, and returns their ids.
pub fn fill_in(conn: &mut PgConnection, after: Uuid, most: i64) -> QueryResult<Vec<Uuid>> {
    #[derive(QueryableByName)]
    struct Filled {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let found: Vec<Filled> = diesel::sql_query(format!(
        "select id from users where {IS_WITHOUT} and id > $1 order by id limit $2 for no key update"
    ))
    .bind::<SqlUuid, _>(after)
    .bind::<BigInt, _>(most)
    .load(conn)?;
    let ids: Vec<Uuid> = found.into_iter().map(|Filled { id }| id).collect();
    // The trigger puts the right text in.
    diesel::update(users::table.filter(users::id.eq_any(&ids)))
        .set(users::folded_plain.eq(None::<String>))
        .execute(conn)?;
    Ok(ids)
}
