//! The mails that could not be delivered to the users of a list.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::Account;
use crate::db::PgConnection;
use crate::mail::Kind;

/// A mail that was given up.
#[derive(QueryableByName, Clone, Debug)]
pub struct Undelivered {
    #[diesel(sql_type = SqlUuid)]
    user_id: Uuid,
    /// The kind of mail.
    #[diesel(sql_type = Text)]
    pub kind: Kind,
    /// The words of the mail server, without addresses and secrets.
    #[diesel(sql_type = Text)]
    pub reason: String,
    /// When it was given up.
    #[diesel(sql_type = Timestamptz)]
    pub given_up_at: DateTime<Utc>,
}

/// Adds to each account the mail that could not be delivered to its address. Kinds that only a newer version
/// knows are left out, and so are changes of address: another account asked for those.
pub(super) fn add_undelivered(conn: &mut PgConnection, accounts: &mut [Account]) -> QueryResult<()> {
    let ids: Vec<Uuid> = accounts.iter().map(|account| account.user.id).collect();
    let found: Vec<Undelivered> = diesel::sql_query(
        "select u.id as user_id, m.kind, m.reason, m.given_up_at
         from users as u join undelivered_mails as m on m.email_digest = email_digest(u.email)
         where u.id = any($1) and m.kind = any($2) and m.kind <> 'email_change'",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Text>, _>(&Kind::ALL[..])
    .load(conn)?;
    let mut of_users: HashMap<Uuid, Undelivered> =
        found.into_iter().map(|mail| (mail.user_id, mail)).collect();
    for account in accounts {
        account.undelivered = of_users.remove(&account.user.id);
    }
    Ok(())
}
