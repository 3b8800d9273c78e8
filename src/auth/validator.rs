//! Whose token is this?
//!
//! Never answered from memory: each answer is a query that began after the question was asked (law 2), and PostgreSQL
//! decides by its own clock whether the session still lives (law 3).

use chrono::{DateTime, TimeDelta, Utc};
use diesel::pg::PgConnection;
use diesel::prelude::*;

use super::{Auth, Error};
use crate::config::SessionPolicy;
use crate::db::clock::{before, now, span};
use crate::db::schema::{sessions, users};
use crate::sessions::{Session, Token, TokenDigest, store};
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
    /// [`Error::TokenInvalid`]; [`Error::Unavailable`].
    pub async fn validate(&self, token: &Token, activity: Activity) -> Result<Seat, Error> {
        let digest = token.digest();
        let policy = self.sessions;
        self.db
            .run(move |conn| {
                let (mut seat, is_due) = find(conn, &digest, &policy)?.ok_or(Error::TokenInvalid)?;
                if is_due && activity == Activity::Active {
                    // Gone since the query above: whoever ended it was first.
                    seat.session =
                        store::touch(conn, seat.session.id, &policy)?.ok_or(Error::TokenInvalid)?;
                }
                Ok(seat)
            })
            .await
    }

    /// Does the session end when it ends, however active its user is?
    pub fn is_final(&self, seat: &Seat) -> bool {
        let lifetime = TimeDelta::from_std(self.sessions.max_lifetime).unwrap_or(TimeDelta::MAX);
        seat.session
            .created_at
            .checked_add_signed(lifetime)
            .is_some_and(|end| seat.session.expires_at >= end)
    }
}

/// The live seat, and whether its activity is old enough to be written down again.
fn find(
    conn: &mut PgConnection,
    digest: &TokenDigest,
    policy: &SessionPolicy,
) -> QueryResult<Option<(Seat, bool)>> {
    sessions::table
        .inner_join(users::table)
        .filter(sessions::token_digest.eq(digest))
        .filter(sessions::expires_at.gt(now()))
        // Disabling ends the session in its own transaction; this says so twice.
        .filter(users::disabled_at.is_null())
        .select((
            Session::as_select(),
            User::as_select(),
            now(),
            sessions::last_activity.le(before(now(), span(policy.activity_threshold))),
        ))
        .first(conn)
        .optional()
        .map(|row| {
            row.map(|(session, user, checked_at, is_due)| {
                (
                    Seat {
                        session,
                        user,
                        checked_at,
                    },
                    is_due,
                )
            })
        })
}
