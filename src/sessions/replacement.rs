//! Finds the session that replaced another one, for the page of the replaced session.

use diesel::prelude::*;
use diesel::sql_types::{Bool, Inet, Nullable, Text, Uuid as SqlUuid};
use ipnetwork::IpNetwork;
use uuid::Uuid;

use crate::db::PgConnection;
use crate::db::prepared::Prepared;

/// What the page of a replaced session may learn about the session that replaced it.
#[derive(QueryableByName, Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// Where the sign-in came from.
    #[diesel(sql_type = Inet)]
    pub ip_address: IpNetwork,
    /// The user agent, as the browser sent it.
    #[diesel(sql_type = Nullable<Text>)]
    pub user_agent: Option<String>,
    /// Whether address and user agent are those of the session that was replaced.
    #[diesel(sql_type = Bool)]
    pub is_same_browser: bool,
}

/// Selects the user's next session, which may have ended meanwhile.
const NEXT: &str = "
    select next.ip_address, next.user_agent,
        coalesce(next.ip_address = own.ip_address and next.user_agent = own.user_agent, false) as is_same_browser
    from ended_sessions as own, lateral (
        select ip_address, user_agent, created_at from sessions
        where user_id = own.user_id and created_at >= own.ended_at
        union all
        select ip_address, user_agent, created_at from ended_sessions
        where user_id = own.user_id and ended_at >= own.ended_at and created_at >= own.ended_at and id <> own.id
        order by created_at limit 1
    ) as next
    where own.id = $1 and own.reason = 'replaced'";

/// Finds the session that replaced this one. `None` if it was not replaced, or if its row is gone.
pub fn find_replacement(conn: &mut PgConnection, session: Uuid) -> QueryResult<Option<Replacement>> {
    Prepared::new(diesel::sql_query(NEXT).bind::<SqlUuid, _>(session))
        .get_result(conn)
        .optional()
}
