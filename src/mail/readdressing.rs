//! What waits in the outbox for an address, when that gets another spelling.

use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::sql_types::Binary;

use crate::db::PgConnection;

/// Gives what waits for an address to another spelling of it. A link of the same kind that waits there already goes: it was requested
/// when nobody had that spelling.
pub fn readdress(conn: &mut PgConnection, old: &[u8; 32], new: &[u8; 32]) -> QueryResult<()> {
    for statement in [
        "delete from mails as m where email_digest = $2
             and exists (select from mails where email_digest = $1 and kind = m.kind)",
        "update mails set email_digest = $2 where email_digest = $1",
        "delete from mail_requests where email_digest = $1 and $2 <> $1",
    ] {
        diesel::sql_query(statement)
            .bind::<Binary, _>(&old[..])
            .bind::<Binary, _>(&new[..])
            .execute(conn)?;
    }
    Ok(())
}
