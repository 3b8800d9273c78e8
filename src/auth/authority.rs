//! Nobody acts after their end (law 8): permission is confirmed again in the transaction that acts.
//!
//! A token is checked when a request begins, but the rest of the request may come much later. So an action
//! happens only if, under lock and in the same transaction, the session still lives and its user still has
//! permission. An [`Authority`] can only be used in `Auth::act`, which confirms it first: a use case cannot
//! forget to.
//!
//! All transactions take these locks in one order, so that none deadlock:
//! [`history::keep_out_the_end_of_all`] (or its counterpart [`history::keep_out_sign_ins`]), then users by
//! id, then sessions by id.

use diesel::connection::SimpleConnection;
use uuid::Uuid;

use super::audit::{self, Actor, Resource};
use super::unwritten_ends::{why_ended, write_disabled};
use super::user_ref::UserRef;
use super::{Auth, Error, Seat};
use crate::config::SessionPolicy;
use crate::db::PgConnection;
use crate::sessions::{Origin, history, store as sessions};
use crate::users::Role;
use crate::users::store::{self as users, Credentials};

/// Who authorises an action.
#[derive(Clone, Debug)]
pub enum Authority {
    /// An operator at the command line. They are not checked: they could also write to the database directly.
    Operator,
    /// The holder of a session, for their own account.
    Own(Holder),
    /// The holder of a session, for as long as they are an admin.
    Admin(Holder),
}

/// A session and its user, as they were at the start of the request, and the request.
#[derive(Clone, Debug)]
pub struct Holder {
    pub(super) session: Uuid,
    pub(super) user: Uuid,
    resource: Resource,
    pub(super) origin: Origin,
}

/// The target of an action, which is locked together with the acting session.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// Nothing that exists yet, such as a new account.
    Nobody,
    /// A user, with their session.
    User(UserRef),
    /// One session.
    Session(Uuid),
    /// All users. No sign-in happens until the transaction ends.
    Everybody,
}

/// Whether an action may leave no admin who can sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastAdmin {
    /// It may not, and fails with [`Error::LastAdmin`].
    Stays,
    /// It may, because an operator said so.
    MayGo,
}

impl Holder {
    /// The holder of this seat, for one request.
    pub fn new(seat: &Seat, resource: Resource, origin: Origin) -> Self {
        Self {
            session: seat.session.id,
            user: seat.user.id,
            resource,
            origin,
        }
    }
}

impl LastAdmin {
    /// Applies this choice to the current transaction.
    pub(super) fn allow(self, conn: &mut PgConnection) -> Result<(), Error> {
        match self {
            Self::Stays => Ok(()),
            Self::MayGo => Ok(conn.batch_execute("set local oneseat.last_admin_may_go = 'on'")?),
        }
    }
}

impl Auth {
    /// Runs `act` in a transaction that first confirms permission. `act` receives the user that is its
    /// subject, if there is one. `tell` logs the result after the commit, even when the caller has gone. The
    /// result comes after the wait of [`Auth::answer_after_wait`].
    ///
    /// # Errors
    /// Those of `act`; [`Error::SessionEnded`], [`Error::TokenInvalid`] or [`Error::Forbidden`] when
    /// permission is gone.
    pub(super) async fn act<T: Send + 'static>(
        &self,
        by: Authority,
        subject: Subject,
        act: impl FnOnce(&mut PgConnection, Option<Credentials>) -> Result<T, Error> + Send + 'static,
        tell: impl FnOnce(&T, Actor) + Send + 'static,
    ) -> Result<T, Error> {
        self.answer_after_wait(self.act_without_wait(by, subject, act, tell).await)
            .await
    }

    /// [`act`](Self::act) without the wait, for one step of several.
    ///
    /// # Errors
    /// Those of [`act`](Self::act).
    pub(super) async fn act_without_wait<T: Send + 'static>(
        &self,
        by: Authority,
        subject: Subject,
        act: impl FnOnce(&mut PgConnection, Option<Credentials>) -> Result<T, Error> + Send + 'static,
        tell: impl FnOnce(&T, Actor) + Send + 'static,
    ) -> Result<T, Error> {
        let policy = self.policy.sessions;
        self.run(move |conn| {
            let for_everybody = matches!(subject, Subject::Everybody);
            let confirmed = |conn: &mut PgConnection| {
                let found = by.confirm(conn, subject, &policy)?;
                Ok(act(conn, found)?)
            };
            let done = if for_everybody {
                history::keep_out_sign_ins(conn, confirmed)
            } else {
                history::keep_out_the_end_of_all(conn, confirmed)
            };
            match done {
                Ok(done) => {
                    tell(&done, by.actor());
                    Ok(done)
                }
                Err(Undone::Failed(error)) => Err(error),
                Err(Undone::Refused(holder, why)) => Err(why.error(&holder, conn, &policy)?),
            }
        })
        .await
    }
}

/// Why a transaction was rolled back.
enum Undone {
    Failed(Error),
    Refused(Box<Holder>, Refusal),
}

/// Why permission is gone.
enum Refusal {
    /// The session ended, or its time is up.
    Ended,
    /// The user was disabled, and the session's end has not been written yet.
    Disabled,
    /// The user is no longer an admin.
    Demoted,
}

impl<E: Into<Error>> From<E> for Undone {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Authority {
    /// The actor in the security log.
    fn actor(&self) -> Actor {
        match self {
            Self::Operator => Actor::Operator,
            Self::Own(_) => Actor::Own,
            Self::Admin(holder) => Actor::Admin(holder.user),
        }
    }

    /// The holder of the acting session. `None` for an operator.
    pub(super) fn holder(&self) -> Option<&Holder> {
        match self {
            Self::Operator => None,
            Self::Own(holder) | Self::Admin(holder) => Some(holder),
        }
    }

    /// Refuses an action that a holder may not take on their own account.
    ///
    /// # Errors
    /// [`Error::OwnAccount`].
    pub(super) fn allow_for_others_only(&self, user: Uuid) -> Result<(), Error> {
        match self.holder() {
            Some(holder) if holder.user == user => Err(Error::OwnAccount),
            _ => Ok(()),
        }
    }

    /// Locks the acting session and the subject until the transaction ends, and refuses a holder without
    /// permission. Returns the user that is the subject.
    fn confirm(
        &self,
        conn: &mut PgConnection,
        subject: Subject,
        policy: &SessionPolicy,
    ) -> Result<Option<Credentials>, Undone> {
        let (other_user, other_session) = match subject {
            Subject::User(whom) => (whom.id(conn)?, None),
            Subject::Session(id) => (None, Some(id)),
            Subject::Nobody | Subject::Everybody => (None, None),
        };
        let holder = self.holder();
        let ids = |own: fn(&Holder) -> Uuid, other: Option<Uuid>| -> Vec<Uuid> {
            holder.map(own).into_iter().chain(other).collect()
        };
        let users = users::lock_all(conn, &ids(|holder| holder.user, other_user))?;
        let sessions = sessions::lock_all(
            conn,
            &ids(|holder| holder.session, other_session),
            other_user,
            policy,
        )?;
        if let Some(holder) = holder
            && let Some(why) = self.refusal(holder, &users, &sessions)
        {
            return Err(Undone::Refused(Box::new(holder.clone()), why));
        }
        Ok(users.into_iter().find(|found| Some(found.user.id) == other_user))
    }

    /// Why the holder lost permission, according to locked rows.
    fn refusal(&self, holder: &Holder, users: &[Credentials], sessions: &[(Uuid, bool)]) -> Option<Refusal> {
        let found = users.iter().find(|found| found.user.id == holder.user);
        let session = sessions.iter().find(|(id, _)| *id == holder.session);
        let (Some(found), Some((_, lives))) = (found, session) else {
            return Some(Refusal::Ended);
        };
        // The validator checks in the same order.
        if !lives {
            return Some(Refusal::Ended);
        }
        if found.user.disabled_at.is_some() {
            return Some(Refusal::Disabled);
        }
        match (self, found.user.role) {
            (Self::Admin(_), Role::User) => Some(Refusal::Demoted),
            (Self::Admin(_), Role::Admin) | (Self::Operator | Self::Own(_), _) => None,
        }
    }
}

impl Refusal {
    /// Returns the error for the holder. Writes the end of the session first, so that what is reported stays
    /// true.
    fn error(self, holder: &Holder, conn: &mut PgConnection, policy: &SessionPolicy) -> Result<Error, Error> {
        match self {
            Self::Ended => {}
            Self::Disabled => {
                write_disabled(conn, &[holder.session], policy)?;
            }
            Self::Demoted => {
                audit::forbidden(holder.user, &holder.resource, &holder.origin);
                return Ok(Error::Forbidden);
            }
        }
        let error = why_ended(conn, holder.session, policy)?;
        if let Error::SessionEnded(ending) = &error {
            audit::used_after_end(ending, &holder.origin);
        }
        Ok(error)
    }
}
