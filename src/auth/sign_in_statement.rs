//! All changes of a sign-in, in one statement and so in one round trip.

use std::sync::LazyLock;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Binary, Bool, Inet, Interval, Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

use crate::config::SessionPolicy;
use crate::db::PgConnection;
use crate::db::prepared::Prepared;
use crate::sessions::{
    EndReason, EndedSession, Origin, Session, feed, history, known_origins, store as sessions,
};
use crate::token::TokenDigest;
use crate::users::{Email, lockout};

/// The parameters of a sign-in: its user, and where it comes from.
pub(super) struct SignInStatement<'a> {
    pub(super) user_id: Uuid,
    /// The user's address, whose failures are forgotten.
    pub(super) email: &'a Email,
    /// The digest of the new session's token.
    pub(super) token: &'a TokenDigest,
    pub(super) origin: &'a Origin,
    /// Whether mails report new origins.
    pub(super) reports_new_origins: bool,
    /// Whether the session ends with the page that signs in.
    pub(super) ends_with_page: bool,
}

/// The result of the statement.
pub(super) struct Taken {
    /// The new session.
    pub(super) session: Session,
    /// The session that it replaced. Empty if the user had no session.
    pub(super) replaced: Vec<EndedSession>,
    /// The address was locked while the transaction waited: it must be rolled back.
    pub(super) is_locked: bool,
    /// Whether to report a new origin to the user.
    pub(super) is_news: bool,
}

/// The SQL type of a struct with these columns.
type Columns<T> = <<T as Selectable<Pg>>::SelectExpression as Expression>::SqlType;
type Row = (Columns<Session>, Nullable<Columns<EndedSession>>, Bool, Bool);

/// All parts of one statement see the same snapshot, from before the statement. So the new row has to wait
/// for the deletion of the older one, or `unique (user_id)` would refuse it.
static STATEMENT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "with {end}, {open}, {name_user}, {forget}, {remember}
         select opened.id, opened.user_id, opened.ip_address, opened.user_agent, opened.last_activity,
             opened.expires_at, opened.created_at, opened.ends_at, opened.ends_with_page,
             ended.id, ended.user_id, ended.ip_address, ended.user_agent, ended.last_activity,
             ended.created_at, ended.ended_at, ended.reason,
             {is_locked}, exists (select from seen where to_tell)
         from opened left join ended on true",
        end = history::end_sql("user_id = $4"),
        open = sessions::open_sql("gone", ["$4", "$5", "$6", "$7", "$11", "$12"]),
        name_user = feed::name_user_sql("$4", "ended"),
        forget = lockout::forget_sql("$8"),
        is_locked = lockout::is_locked_sql("$8"),
        remember = known_origins::remember_sql(["$4", "$9", "$10"]),
    )
});

impl SignInStatement<'_> {
    /// Ends the user's older session, opens the new one, forgets the failures of the address and remembers
    /// the origin. The transaction must be one of [`history::begin_sign_in`], and hold the lock on the user's
    /// row.
    pub(super) fn run(&self, conn: &mut PgConnection, policy: &SessionPolicy) -> QueryResult<Taken> {
        let (idle_timeout, max_lifetime) = sessions::limits(policy);
        let statement = diesel::sql_query(&*STATEMENT)
            .bind::<Interval, _>(idle_timeout)
            .bind::<Interval, _>(max_lifetime)
            .bind::<Text, _>(EndReason::Replaced)
            .bind::<SqlUuid, _>(self.user_id)
            .bind::<Binary, _>(self.token)
            .bind::<Inet, _>(self.origin.network())
            .bind::<Nullable<Text>, _>(self.origin.user_agent())
            .bind::<Binary, _>(self.email.digest().to_vec())
            .bind::<Binary, _>(self.origin.place_digest().to_vec())
            .bind::<Bool, _>(self.reports_new_origins)
            .bind::<Bool, _>(self.ends_with_page)
            .bind::<Text, _>(self.origin.folded());
        let (session, replaced, is_locked, is_news): (Session, Option<EndedSession>, bool, bool) =
            Prepared::new(statement).of_type::<Row>().get_result(conn)?;
        Ok(Taken {
            session,
            replaced: Vec::from_iter(replaced),
            is_locked,
            is_news,
        })
    }
}
