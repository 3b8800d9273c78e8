//! Whose token is this?
//!
//! Never answered from memory: each answer is a query that began after the question was asked (law 2), and PostgreSQL
//! decides by its own clock whether the session still lives (law 3).

use chrono::{DateTime, TimeDelta, Utc};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use uuid::Uuid;

use super::{Auth, Error};
use crate::config::SessionPolicy;
use crate::db::clock::{before, now, span};
use crate::db::schema::{sessions, users};
use crate::sessions::store::Look;
use crate::sessions::{EndReason, Ending, Session, Token, TokenDigest, history, store};
use crate::users::User;

/// Does a request count as the user being there?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// The user did something.
    Active,
    /// The page looked by itself: never extends a session.
    Passive,
}

/// A live session and whose it is.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The live session.
    pub session: Session,
    /// Whose it is.
    pub user: User,
    /// When PostgreSQL said so.
    pub checked_at: DateTime<Utc>,
}

impl Auth {
    /// The seat that a token holds.
    ///
    /// # Errors
    /// [`Error::SessionEnded`] with the reason, for as long as it is kept; [`Error::TokenInvalid`];
    /// [`Error::Unavailable`].
    pub async fn validate(&self, token: &Token, activity: Activity) -> Result<Seat, Error> {
        let digest = token.digest();
        let policy = self.policy.sessions;
        self.db
            .run(move |conn| match find(conn, &digest, &policy)? {
                Some(Found {
                    mut seat,
                    is_due: true,
                    is_live: true,
                }) if activity == Activity::Active => {
                    match store::touch(conn, seat.session.id, &policy)? {
                        Some(session) => seat.session = session,
                        // Gone since the query above: whoever ended it was first.
                        None => return Err(why_ended(conn, seat.session.id)?),
                    }
                    Ok(seat)
                }
                Some(Found {
                    seat, is_live: true, ..
                }) => Ok(seat),
                Some(Found {
                    seat: Seat { session, .. },
                    ..
                }) => {
                    let (session, at) = (session.id, session.expires_at);
                    Err(Error::SessionEnded(Ending {
                        session,
                        reason: EndReason::Expired,
                        at,
                    }))
                }
                None => Err(ended(history::find(conn, &digest)?)),
            })
            .await
    }

    /// Does the session end when it ends, however active its user is?
    pub fn is_final(&self, seat: &Seat) -> bool {
        let lifetime = TimeDelta::from_std(self.policy.sessions.max_lifetime).unwrap_or(TimeDelta::MAX);
        seat.session
            .created_at
            .checked_add_signed(lifetime)
            .is_some_and(|end| seat.session.expires_at >= end)
    }
}

/// Why a session that was live a moment ago is not.
pub(super) fn why_ended(conn: &mut PgConnection, session: Uuid) -> Result<Error, Error> {
    Ok(match store::look_at(conn, session)? {
        Look::Ended(ending) => Error::SessionEnded(ending),
        Look::Live(_) | Look::Forgotten => Error::TokenInvalid,
    })
}

fn ended(ending: Option<Ending>) -> Error {
    ending.map_or(Error::TokenInvalid, Error::SessionEnded)
}

/// A seat in the table, and what PostgreSQL's clock says of it.
struct Found {
    seat: Seat,
    is_live: bool,
    /// Its activity is old enough to be written down again.
    is_due: bool,
}

fn find(conn: &mut PgConnection, digest: &TokenDigest, policy: &SessionPolicy) -> QueryResult<Option<Found>> {
    sessions::table
        .inner_join(users::table)
        .filter(sessions::token_digest.eq(digest))
        // Disabling ends the session in its own transaction; this says so twice.
        .filter(users::disabled_at.is_null())
        .select((
            Session::as_select(),
            User::as_select(),
            now(),
            sessions::expires_at.gt(now()),
            sessions::last_activity.le(before(now(), span(policy.activity_threshold))),
        ))
        .first(conn)
        .optional()
        .map(|row| {
            row.map(|(session, user, checked_at, is_live, is_due)| Found {
                seat: Seat {
                    session,
                    user,
                    checked_at,
                },
                is_live,
                is_due,
            })
        })
}
