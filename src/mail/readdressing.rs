//! Changes the mails that wait for an address, when its user gets another address, or the address another spelling.

use diesel::dsl::{delete, exists, select, update};
use diesel::prelude::*;
use diesel::sql_types::Binary;
use uuid::Uuid;

use super::Kind;
use crate::db::PgConnection;
use crate::db::clock::now;
use crate::db::schema::mails;

/// Moves the mails that wait for an address to another spelling of it. A link of the same kind that already waits
/// for that spelling is deleted: it was requested when nobody had the spelling.
pub fn readdress(conn: &mut PgConnection, old: &[u8; 32], new: &[u8; 32]) -> QueryResult<()> {
    for statement in [
        "delete from mails as m where email_digest = $2
             and exists (select from mails where email_digest = $1 and kind = m.kind)",
        // With the new `created_at`, an instance that has taken the mail, and finds no account for it, puts it back.
        "update mails set email_digest = $2, created_at = now() where email_digest = $1",
        "delete from mail_requests where email_digest = $1 and $2 <> $1",
    ] {
        diesel::sql_query(statement)
            .bind::<Binary, _>(&old[..])
            .bind::<Binary, _>(&new[..])
            .execute(conn)?;
    }
    Ok(())
}

/// Changes what waits for the old address of a user who now has another one. Links for the old address are of no
/// use, and are deleted. Other mails still go to the old address: it may be the only one where mails reach the user.
pub fn leave(conn: &mut PgConnection, user: Uuid, old: &str, old_digest: &[u8; 32]) -> QueryResult<()> {
    const LINKS: [Kind; 3] = [Kind::Invitation, Kind::Verification, Kind::PasswordReset];
    let waiting = mails::table
        .filter(mails::email_digest.eq(&old_digest[..]))
        .filter(mails::about.is_null());
    delete(waiting.filter(mails::kind.eq_any(LINKS))).execute(conn)?;
    update(waiting)
        .set((
            mails::about.eq(user),
            mails::address.eq(old),
            // An instance that has taken the mail, and finds no account for it, then puts it back.
            mails::created_at.eq(now()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Takes the mails of this kind about a user out of the outbox.
pub fn withdraw(conn: &mut PgConnection, user: Uuid, kind: Kind) -> QueryResult<usize> {
    let waiting = mails::table
        .filter(mails::about.eq(user))
        .filter(mails::kind.eq(kind));
    delete(waiting).execute(conn)
}

/// Is the mail still in the outbox?
pub fn is_there(conn: &mut PgConnection, id: Uuid) -> QueryResult<bool> {
    select(exists(mails::table.find(id))).get_result(conn)
}
