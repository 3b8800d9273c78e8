//! Ends sessions: sign-out and revocation. `unwritten_ends` has the ends that nobody asked for.
//!
//! No end is acknowledged before `Auth::wait_out_leases` is over: an instance may still answer from memory.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::audit::{self, Actor};
use super::authority::{Authority, Holder, Subject};
use super::lists::{Search, matching_others};
use super::user_ref::UserRef;
use super::{Auth, Error};
use crate::db::PgConnection;
use crate::sessions::EndReason::{self, Revoked};
use crate::sessions::EndedSession;
use crate::sessions::history::{self, Which};
use crate::users::store::Credentials;

/// Which sessions a search is to end at most. Between the look at a list and the end of what it shows others sign in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bound {
    /// Only those that began before then.
    pub created_before: Option<DateTime<Utc>>,
    /// None at all, if there are more than this.
    pub at_most: Option<usize>,
}

impl Bound {
    /// Refuses an end of more than expected, which is then rolled back.
    fn admit(self, ended: usize) -> Result<(), Error> {
        match self.at_most {
            Some(at_most) if ended > at_most => Err(Error::MoreThanExpected(ended)),
            _ => Ok(()),
        }
    }
}

impl Auth {
    /// Ends the caller's own session.
    ///
    /// # Errors
    /// Those of [`Authority`]; [`Error::Unavailable`].
    pub async fn sign_out(&self, holder: Holder, reason: EndReason) -> Result<(), Error> {
        let session = holder.session;
        let (subject, by) = (Subject::Session(session), Authority::Own(holder));
        self.end(subject, Which::Id(session), reason, by).await?;
        Ok(())
    }

    /// Ends any one session.
    ///
    /// # Errors
    /// [`Error::NoSuchSession`]; those of [`Authority`]; [`Error::Unavailable`].
    pub async fn revoke(&self, session: Uuid, by: Authority) -> Result<(), Error> {
        let ended = self.end(Subject::Session(session), Which::Id(session), Revoked, by);
        one_lived(&ended.await?)
    }

    /// Ends the session of a user.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`], [`Error::NoSuchSession`]; those of [`Authority`]; [`Error::Unavailable`].
    pub async fn revoke_of(&self, whom: impl Into<UserRef>, by: Authority) -> Result<(), Error> {
        let whom = whom.into();
        let (subject, policy) = (Subject::User(whom.clone()), self.policy.sessions);
        let end = move |conn: &mut PgConnection, found: Option<Credentials>| {
            let found = found.ok_or_else(|| whom.unknown())?;
            let which = Which::OfUser(found.user.id);
            Ok(history::end(conn, which, Revoked, &policy)?)
        };
        let ended = self.act(by, subject, end, log_ended).await?;
        one_lived(&ended)
    }

    /// Ends every session. Returns how many lived.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn revoke_all(&self) -> Result<usize, Error> {
        self.end_all(Revoked).await
    }

    /// [`revoke_all`](Self::revoke_all) for another reason.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn end_all(&self, reason: EndReason) -> Result<usize, Error> {
        let ended = self.end(Subject::Everybody, Which::All, reason, Authority::Operator);
        Ok(how_many_lived(&ended.await?, reason))
    }

    /// Ends every session that matches, within the bound, but not the holder's own. Returns how many lived. Sign-ins wait
    /// meanwhile, so that what is counted is what ends.
    ///
    /// # Errors
    /// [`Error::MoreThanExpected`]; those of [`Authority`]; [`Error::Unavailable`].
    pub async fn revoke_others(&self, search: Search, bound: Bound, admin: Holder) -> Result<usize, Error> {
        let (own, policy) = (admin.session, self.policy.sessions);
        let end = move |conn: &mut PgConnection, _| {
            let ended = match (&search, bound.created_before) {
                (Search::All, None) => history::end(conn, Which::AllBut(own), Revoked, &policy)?,
                (search, before) => {
                    let ids = matching_others(conn, search, before, own, &policy)?;
                    history::end(conn, Which::AllOf(&ids), Revoked, &policy)?
                }
            };
            bound.admit(how_many_lived(&ended, Revoked))?;
            Ok(ended)
        };
        let by = Authority::Admin(admin);
        let ended = self.act(by, Subject::Everybody, end, log_ended).await?;
        Ok(how_many_lived(&ended, Revoked))
    }

    async fn end(
        &self,
        subject: Subject,
        which: Which<'static>,
        reason: EndReason,
        by: Authority,
    ) -> Result<Vec<EndedSession>, Error> {
        let policy = self.policy.sessions;
        let end = move |conn: &mut PgConnection, _| Ok(history::end(conn, which, reason, &policy)?);
        self.act(by, subject, end, log_ended).await
    }
}

#[expect(clippy::ptr_arg, reason = "it is given what `act` returns")]
fn log_ended(ended: &Vec<EndedSession>, by: Actor) {
    audit::ended(ended, by);
}

fn one_lived(ended: &[EndedSession]) -> Result<(), Error> {
    match how_many_lived(ended, Revoked) {
        0 => Err(Error::NoSuchSession),
        _ => Ok(()),
    }
}

/// Counts the sessions that ended for the caller's reason. The others had expired, or a backup had brought
/// them back.
fn how_many_lived(ended: &[EndedSession], reason: EndReason) -> usize {
    ended.iter().filter(|session| session.reason == reason).count()
}
