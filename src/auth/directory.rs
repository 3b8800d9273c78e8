//! Who is signed in, who was, and who may sign in: lists for people.
//!
//! Long lists come in pages by key: a page begins after the last row of the one before, so that rows that come and go
//! shift nothing.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use diesel::dsl::InnerJoinQuerySource;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use ipnetwork::IpNetwork;
use uuid::Uuid;

use super::{Auth, Error};
use crate::db::clock::now;
use crate::db::schema::{ended_sessions, sessions, users};
use crate::sessions::{EndReason, EndedSession, Session, history};
use crate::users::{Email, User, lockout, store};

/// Most rows of one page.
pub const LARGEST_PAGE: i64 = 200;

/// What a list is searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// Everything.
    All,
    /// Addresses of origin in this network.
    Network(IpNetwork),
    /// A part of a name or an email; its beginning, if shorter than three characters.
    Text(String),
}

/// Where a page begins: after the row with this time and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    at: DateTime<Utc>,
    id: Uuid,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// At most as many as were asked for.
    pub rows: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

/// An account as an operator sees it.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The account.
    pub user: User,
    /// The seat it holds.
    pub session: Option<Session>,
    /// Whether too many wrong passwords have locked its address.
    pub is_locked: bool,
}

impl From<&str> for Search {
    /// An address, a network, or the beginning of an IPv4 address such as `203.0.113.` is a network; all else is text.
    fn from(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::All;
        }
        text.parse()
            .ok()
            .or_else(|| beginning(text))
            .map_or_else(|| Self::Text(text.to_owned()), Self::Network)
    }
}

fn beginning(text: &str) -> Option<IpNetwork> {
    let parts: Vec<&str> = text.strip_suffix('.')?.split('.').collect();
    if parts.len() > 3 {
        return None;
    }
    let bits = parts.len() * 8;
    let address: Vec<&str> = parts.into_iter().chain(["0"; 3]).take(4).collect();
    format!("{}/{bits}", address.join(".")).parse().ok()
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.at.timestamp_micros(), self.id.simple())
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (at, id) = text.split_once('_')?;
            Some(Self {
                at: DateTime::from_timestamp_micros(at.parse().ok()?)?,
                id: id.parse().ok()?,
            })
        };
        parse().ok_or("after must be the next of an earlier page")
    }
}

type LiveRows = InnerJoinQuerySource<sessions::table, users::table>;

fn matches_live(search: &Search) -> Box<dyn BoxableExpression<LiveRows, Pg, SqlType = Bool>> {
    match search {
        Search::All => Box::new(sessions::expires_at.gt(now())),
        Search::Network(network) => Box::new(
            sessions::expires_at
                .gt(now())
                .and(sessions::ip_address.is_contained_by_or_eq(*network)),
        ),
        Search::Text(text) => {
            let pattern = pattern(text);
            let by_name = users::name.ilike(pattern.clone());
            Box::new(
                sessions::expires_at
                    .gt(now())
                    .and(by_name.or(users::email.ilike(pattern))),
            )
        }
    }
}

/// What people type is text, not a pattern.
fn pattern(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    // The index knows three letters in a row, or the first ones of a word.
    if text.chars().count() < 3 {
        format!("{escaped}%")
    } else {
        format!("%{escaped}%")
    }
}

/// Cuts the row that was asked for beyond the page, and tells where the next one begins.
fn page<T>(mut rows: Vec<T>, limit: i64, cursor: impl Fn(&T) -> Cursor) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_more).map(cursor);
    Page { rows, next }
}

impl Auth {
    /// Live sessions and whose they are, newest activity first.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn live_sessions(
        &self,
        search: Search,
        after: Option<Cursor>,
        limit: i64,
    ) -> Result<Page<(Session, User)>, Error> {
        self.db
            .run(move |conn| {
                let mut query = sessions::table
                    .inner_join(users::table)
                    .filter(matches_live(&search))
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
                    .select((Session::as_select(), User::as_select()))
                    .load::<(Session, User)>(conn)?;
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
        self.db
            .run(move |conn| {
                // Every session has its user: without a search there is nothing to look up.
                let counted = match search {
                    Search::All => sessions::table
                        .filter(sessions::expires_at.gt(now()))
                        .count()
                        .get_result(conn),
                    Search::Network(_) | Search::Text(_) => {
                        let matching = sessions::table
                            .inner_join(users::table)
                            .filter(matches_live(&search));
                        matching.count().get_result(conn)
                    }
                };
                counted.map_err(Error::from)
            })
            .await
    }

    /// Past sessions and whose they were, as far as the account is still there; the last to end first.
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
        self.db
            .run(move |conn| {
                let mut query = ended_sessions::table
                    .left_join(users::table.on(users::id.eq(ended_sessions::user_id)))
                    .into_boxed();
                match &search {
                    Search::All => {}
                    Search::Network(network) => {
                        query = query.filter(ended_sessions::ip_address.is_contained_by_or_eq(*network));
                    }
                    Search::Text(text) => {
                        let pattern = pattern(text);
                        let by_name = users::name.nullable().ilike(pattern.clone());
                        query = query.filter(by_name.or(users::email.nullable().ilike(pattern)));
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

    /// A user's own recent past sessions, the last to end first.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn history_of(&self, user: Uuid, limit: i64) -> Result<Vec<EndedSession>, Error> {
        self.db
            .run(move |conn| history::of_user(conn, user, limit).map_err(Error::from))
            .await
    }

    /// Accounts whose address is locked now, and until when.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn locked_users(&self) -> Result<Vec<(User, DateTime<Utc>)>, Error> {
        self.db
            .run(|conn| {
                let locked = lockout::locked(conn)?;
                let digests: Vec<Vec<u8>> = locked.keys().cloned().collect();
                let users = store::find_by_digests(conn, &digests)?;
                let with_end = |(user, digest)| Some((user, *locked.get(&digest)?));
                Ok(users.into_iter().filter_map(with_end).collect())
            })
            .await
    }

    /// Is there nobody yet?
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn has_no_users(&self) -> Result<bool, Error> {
        self.db.run(|conn| Ok::<_, Error>(!store::any(conn)?)).await
    }

    /// Every account, by address.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn users(&self) -> Result<Vec<User>, Error> {
        self.db.run(|conn| store::list(conn).map_err(Error::from)).await
    }

    /// One account, with its seat and its lock.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn profile(&self, email: Email) -> Result<Profile, Error> {
        self.db
            .run(move |conn| {
                let user = store::find(conn, &email)?.ok_or_else(|| Error::NoSuchUser(email.to_string()))?;
                let session = sessions::table
                    .filter(sessions::user_id.eq(user.id))
                    .filter(sessions::expires_at.gt(now()))
                    .select(Session::as_select())
                    .first(conn)
                    .optional()?;
                let is_locked = lockout::is_locked(conn, &email)?;
                Ok(Profile {
                    user,
                    session,
                    is_locked,
                })
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_their_beginnings_are_networks_and_all_else_is_text() {
        for (text, network) in [
            ("203.0.113.9", "203.0.113.9/32"),
            ("203.0.113.0/24", "203.0.113.0/24"),
            ("203.0.113.", "203.0.113.0/24"),
            ("10.", "10.0.0.0/8"),
            ("2001:db8::/32", "2001:db8::/32"),
        ] {
            assert_eq!(
                Search::from(text),
                Search::Network(network.parse().unwrap()),
                "{text}"
            );
        }
        for text in ["ada", "10", "a.", "300.", "1.2.3.4.", "ada@example.org"] {
            assert_eq!(Search::from(text), Search::Text(text.to_owned()));
        }
        assert_eq!(Search::from("  "), Search::All);
    }

    #[test]
    fn a_cursor_reads_back() {
        let cursor = Cursor {
            at: DateTime::from_timestamp_micros(1_795_000_000_123_456).unwrap(),
            id: Uuid::new_v4(),
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "1", "x_y", "1_", "_"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
