//! Lists of live and past sessions, and of locked addresses.

use chrono::{DateTime, Utc};
use diesel::dsl::InnerJoinQuerySource;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use uuid::Uuid;

use super::pagination::{Cursor, Page, Search, page};
use crate::auth::{Auth, Error};
use crate::config::SessionPolicy;
use crate::db::PgConnection;
use crate::db::clock::now;
use crate::db::schema::{ended_sessions, sessions, users};
use crate::sessions::store::{count_live, ends_at};
use crate::sessions::{EndReason, EndedSession, Session, history};
use crate::users::lockout::{self, Locked};
use crate::users::spelling::is_read_as;
use crate::users::{User, store};

type LiveRows = InnerJoinQuerySource<sessions::table, users::table>;
type Condition = Box<dyn BoxableExpression<LiveRows, Pg, SqlType = Bool>>;

fn matches_live(search: &Search, policy: &SessionPolicy) -> Condition {
    let lives = ends_at(policy).gt(now());
    match search {
        Search::All => Box::new(lives),
        Search::Network(network) => Box::new(lives.and(sessions::ip_address.is_contained_by_or_eq(*network))),
        Search::Text(text) => {
            let pattern = Search::pattern(text);
            let by_name = users::folded_name.like(pattern.clone());
            let by_email = users::folded_email.like(pattern.clone()).or(is_read_as(pattern));
            Box::new(lives.and(by_name.or(by_email)))
        }
    }
}

/// The ids of the live sessions that match, but for this one.
pub(in crate::auth) fn matching_others(
    conn: &mut PgConnection,
    search: &Search,
    own: Uuid,
    policy: &SessionPolicy,
) -> QueryResult<Vec<Uuid>> {
    sessions::table
        .inner_join(users::table)
        .filter(matches_live(search, policy))
        .filter(sessions::id.ne(own))
        .select(sessions::id)
        .load(conn)
}

impl Auth {
    /// Live sessions and their users, newest activity first.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn live_sessions(
        &self,
        search: Search,
        after: Option<Cursor>,
        limit: i64,
    ) -> Result<Page<(Session, User)>, Error> {
        let policy = self.policy.sessions;
        self.run(move |conn| {
            let mut query = sessions::table
                .inner_join(users::table)
                .filter(matches_live(&search, &policy))
                .into_boxed();
            if let Some(Cursor { at, id }) = after {
                query = query.filter(sessions::last_activity.le(at)).filter(
                    sessions::last_activity
                        .lt(at)
                        .or(sessions::last_activity.eq(at).and(sessions::id.lt(id))),
                );
            }
            let rows = query
                .order((sessions::last_activity.desc(), sessions::id.desc()))
                .limit(limit + 1)
                .select((Session::as_select(), ends_at(&policy), User::as_select()))
                .load::<(Session, DateTime<Utc>, User)>(conn)?;
            let judged = |(session, ends_at, user): (Session, _, _)| (session.judged(ends_at), user);
            let rows = rows.into_iter().map(judged).collect();
            Ok(page(rows, limit, |(session, _)| Cursor {
                at: session.last_activity,
                id: session.id,
            }))
        })
        .await
    }

    /// How many live sessions match.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn count_live_sessions(&self, search: Search) -> Result<i64, Error> {
        let policy = self.policy.sessions;
        self.query(move |conn| match search {
            // Every session has a user: without a search no join is needed.
            Search::All => count_live(conn, &policy),
            Search::Network(_) | Search::Text(_) => sessions::table
                .inner_join(users::table)
                .filter(matches_live(&search, &policy))
                .count()
                .get_result(conn),
        })
        .await
    }

    /// Whether this session lives and matches.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn is_found(&self, search: Search, session: Uuid) -> Result<bool, Error> {
        let policy = self.policy.sessions;
        self.query(move |conn| {
            let found = sessions::table
                .inner_join(users::table)
                .filter(matches_live(&search, &policy))
                .filter(sessions::id.eq(session));
            diesel::select(diesel::dsl::exists(found)).get_result(conn)
        })
        .await
    }

    /// Past sessions, the last to end first, each with its user if the account still exists.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn past_sessions(
        &self,
        search: Search,
        reason: Option<EndReason>,
        after: Option<Cursor>,
        limit: i64,
    ) -> Result<Page<(EndedSession, Option<User>)>, Error> {
        self.run(move |conn| {
            let mut query = ended_sessions::table
                .left_join(users::table.on(users::id.eq(ended_sessions::user_id)))
                .into_boxed();
            match &search {
                Search::All => {}
                Search::Network(network) => {
                    query = query.filter(ended_sessions::ip_address.is_contained_by_or_eq(*network));
                }
                Search::Text(text) => {
                    let pattern = Search::pattern(text);
                    let by_name = users::folded_name.nullable().like(pattern.clone());
                    let by_email = users::folded_email.nullable().like(pattern.clone());
                    query = query.filter(by_name.or(by_email).or(is_read_as(pattern).nullable()));
                }
            }
            if let Some(reason) = reason {
                query = query.filter(ended_sessions::reason.eq(reason));
            }
            if let Some(Cursor { at, id }) = after {
                query = query.filter(ended_sessions::ended_at.le(at)).filter(
                    ended_sessions::ended_at
                        .lt(at)
                        .or(ended_sessions::ended_at.eq(at).and(ended_sessions::id.lt(id))),
                );
            }
            let rows = query
                .order((ended_sessions::ended_at.desc(), ended_sessions::id.desc()))
                .limit(limit + 1)
                .select((EndedSession::as_select(), Option::<User>::as_select()))
                .load::<(EndedSession, Option<User>)>(conn)?;
            Ok(page(rows, limit, |(session, _)| Cursor {
                at: session.ended_at,
                id: session.id,
            }))
        })
        .await
    }

    /// A user's recent past sessions, the last to end first.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn history_of(&self, user: Uuid, limit: i64) -> Result<Vec<EndedSession>, Error> {
        self.query(move |conn| history::of_user(conn, user, limit)).await
    }

    /// Addresses that are locked now.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn locked(&self) -> Result<Locked, Error> {
        self.query(lockout::locked).await
    }

    /// Are there no users yet?
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn has_no_users(&self) -> Result<bool, Error> {
        Ok(!self.query(store::any).await?)
    }
}
