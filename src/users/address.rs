//! Gives an account another address. The constraint `users_email_key` decides whether it is free.

use diesel::prelude::*;
use diesel::result::DatabaseErrorKind::UniqueViolation;
use diesel::result::Error::DatabaseError;
use uuid::Uuid;

use super::Email;
use crate::db::PgConnection;
use crate::db::clock::now;
use crate::db::schema::users;

/// Sets the address, and whether it is known to be the user's; `None` leaves that as it is. Returns `false`
/// if another account has the address; then nothing is changed. A transaction around the call can go on
/// either way.
pub fn set(conn: &mut PgConnection, id: Uuid, email: &Email, is_verified: Option<bool>) -> QueryResult<bool> {
    let update = conn.transaction(|conn| {
        diesel::update(users::table.find(id))
            .set((
                users::email.eq(email.as_str()),
                users::searched_email.eq(email.searched()),
                is_verified.map(|is_verified| users::email_verified.eq(is_verified)),
                users::updated_at.eq(now()),
            ))
            .execute(conn)
    });
    match update {
        Ok(_) => Ok(true),
        Err(DatabaseError(UniqueViolation, _)) => Ok(false),
        Err(error) => Err(error),
    }
}
