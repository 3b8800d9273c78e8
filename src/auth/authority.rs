//! Nobody acts after their end (law 8): who asks for something is confirmed again in the transaction that does it.
//!
//! A token is checked when a request begins, and the rest of the request may come much later. So what a session asks for is done only
//! if, under lock and in the same transaction, the session still lives and its user still may.
//!
//! Everybody locks in one order, so that nobody waits in a circle: [`history::keep_out_the_end_of_all`] (or its counterpart), then
//! users by id, then sessions by id.

use diesel::Connection;
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use uuid::Uuid;

use super::audit::{self, Actor};
use super::endings::{why_ended, write_disabled};
use super::{Auth, Error, Seat};
use crate::config::SessionPolicy;
use crate::sessions::{history, store as sessions};
use crate::users::{Role, store as users};

/// On whose word something is to be done.
#[derive(Clone, Copy, Debug)]
pub enum Authority {
    /// Somebody at the command line, who could as well write in the database.
    Operator,
    /// The holder of a session, for their own account.
    Own(Holder),
    /// The holder of a session, for as long as they are an admin.
    Admin(Holder),
}

/// A session and whose it is, as they were when the request began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    session: Uuid,
    user: Uuid,
}

/// Whom it is done to: locked together with who does it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject {
    /// Nobody who is there already.
    Nobody,
    /// A user, with their session.
    User(Uuid),
    /// One session.
    Session(Uuid),
    /// Everybody: no sign-in is under way meanwhile.
    Everybody,
}

/// What becomes of the last admin who can sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastAdmin {
    /// They stay: [`Error::LastAdmin`].
    Stays,
    /// They may go, because an operator said so.
    MayGo,
}

impl From<&Seat> for Holder {
    fn from(seat: &Seat) -> Self {
        Self {
            session: seat.session.id,
            user: seat.user.id,
        }
    }
}

impl Authority {
    /// Who that is in the security log.
    pub(super) fn actor(self) -> Actor {
        match self {
            Self::Operator => Actor::Operator,
            Self::Own(_) => Actor::Own,
            Self::Admin(holder) => Actor::Admin(holder.user),
        }
    }

    fn holder(self) -> Option<Holder> {
        match self {
            Self::Operator => None,
            Self::Own(holder) | Self::Admin(holder) => Some(holder),
        }
    }

    /// Locks who acts and whom it is done to until the transaction ends, and sees whether it may be done.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`] when the session lives no more, [`Error::Forbidden`] when the role is gone.
    pub(super) fn confirm(
        self,
        conn: &mut PgConnection,
        subject: Subject,
        policy: &SessionPolicy,
    ) -> Result<(), Error> {
        match subject {
            Subject::Everybody => history::keep_out_sign_ins(conn)?,
            Subject::Nobody | Subject::User(_) | Subject::Session(_) => {
                history::keep_out_the_end_of_all(conn)?;
            }
        }
        let holder = self.holder();
        let (other_user, other_session) = match subject {
            Subject::User(id) => (Some(id), None),
            Subject::Session(id) => (None, Some(id)),
            Subject::Nobody | Subject::Everybody => (None, None),
        };
        let ids = |own: fn(Holder) -> Uuid, other: Option<Uuid>| -> Vec<Uuid> {
            holder.map(own).into_iter().chain(other).collect()
        };
        let locked = users::lock_all(conn, &ids(|holder| holder.user, other_user))?;
        let living = sessions::lock_living(
            conn,
            &ids(|holder| holder.session, other_session),
            other_user,
            policy,
        )?;
        let Some(holder) = holder else { return Ok(()) };
        let user = locked.iter().find(|user| user.id == holder.user);
        let user = user.filter(|user| user.disabled_at.is_none() && living.contains(&holder.session));
        match (self, user.ok_or(Error::TokenInvalid)?.role) {
            (Self::Admin(_), Role::User) => Err(Error::Forbidden),
            (Self::Admin(_), Role::Admin) | (Self::Operator | Self::Own(_), _) => Ok(()),
        }
    }
}

impl LastAdmin {
    /// For this transaction.
    pub(super) fn allow(self, conn: &mut PgConnection) -> Result<(), Error> {
        match self {
            Self::Stays => Ok(()),
            Self::MayGo => Ok(conn.batch_execute("set local oneseat.last_admin_may_go = 'on'")?),
        }
    }
}

impl Auth {
    /// One transaction in which somebody may still do what they asked for. `tell` writes down what was done: after the commit, and
    /// whether or not who asked is still there to hear.
    ///
    /// # Errors
    /// Those of `act`; [`Error::SessionEnded`], [`Error::TokenInvalid`] or [`Error::Forbidden`] when who asked may no more.
    pub(super) async fn act<T: Send + 'static>(
        &self,
        by: Authority,
        act: impl FnOnce(&mut PgConnection) -> Result<T, Error> + Send + 'static,
        tell: impl FnOnce(&T, Actor) + Send + 'static,
    ) -> Result<T, Error> {
        let policy = self.policy.sessions;
        self.db
            .run(move |conn| match conn.transaction::<_, Error, _>(act) {
                Ok(done) => {
                    tell(&done, by.actor());
                    Ok(done)
                }
                Err(error) => Err(by.explained(conn, error, &policy)?),
            })
            .await
    }
}

impl Authority {
    /// The same error, or why who asked may do nothing any more.
    fn explained(
        self,
        conn: &mut PgConnection,
        error: Error,
        policy: &SessionPolicy,
    ) -> Result<Error, Error> {
        match (error, self.holder()) {
            (Error::TokenInvalid, Some(holder)) => {
                let user = users::find_by_id(conn, holder.user)?;
                if user.is_some_and(|user| user.disabled_at.is_some()) {
                    write_disabled(conn, &[holder.session], policy)?;
                }
                why_ended(conn, holder.session, policy)
            }
            (Error::Forbidden, Some(holder)) => {
                audit::forbidden_meanwhile(holder.user);
                Ok(Error::Forbidden)
            }
            (error, _) => Ok(error),
        }
    }
}
