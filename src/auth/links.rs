//! Mailed links: finds their users, and uses them.
//!
//! A link is used under the lock of its user's row, so it works once: if two requests use it at the same time,
//! one finds it gone. A link that was refused is deleted before the client is told.

use super::audit::{self, Actor};
use super::{Auth, Error};
use crate::db::PgConnection;
use crate::sessions::{EndedSession, Origin, history};
use crate::token::{Token, TokenDigest};
use crate::users::link::{self, Link, Purpose};
use crate::users::store as users;

impl Auth {
    /// Finds the user and the purpose of a mailed link. The link stays usable.
    ///
    /// # Errors
    /// [`Error::LinkInvalid`], [`Error::LinkExpired`]; [`Error::Unavailable`].
    pub async fn look_at_link(&self, token: Token) -> Result<Link, Error> {
        self.find_link(token.digest(), &Purpose::ALL).await
    }

    /// Finds a link that has one of these purposes. The link stays usable.
    ///
    /// # Errors
    /// Those of [`look_at_link`](Self::look_at_link).
    pub(super) async fn find_link(
        &self,
        digest: TokenDigest,
        purposes: &'static [Purpose],
    ) -> Result<Link, Error> {
        self.run(move |conn| {
            find(conn, &digest, purposes).map_err(|error| delete_if_refused(conn, &digest, purposes, error))
        })
        .await
    }

    /// Runs `work` in a transaction that holds the lock of the link's user. `work` deletes the link and returns the
    /// sessions that it ended. The result comes after [`wait_out_leases`](Self::wait_out_leases).
    ///
    /// # Errors
    /// Those of `work`; those of [`look_at_link`](Self::look_at_link).
    pub(super) async fn use_link(
        &self,
        digest: TokenDigest,
        purpose: Purpose,
        origin: Origin,
        work: impl FnOnce(&mut PgConnection, &Link, &Origin) -> Result<Vec<EndedSession>, Error> + Send + 'static,
    ) -> Result<(), Error> {
        self.run(move |conn| {
            let purposes = &[purpose];
            let done = history::keep_out_the_end_of_all::<_, Error>(conn, |conn| {
                let link = lock(conn, &digest, purposes)?;
                let ended = work(conn, &link, &origin)?;
                Ok((link.user.id, ended))
            });
            let (user, ended) = done.map_err(|error| delete_if_refused(conn, &digest, purposes, error))?;
            audit::link_used(user, purpose, &origin);
            audit::ended(&ended, Actor::Own);
            Ok(())
        })
        .await?;
        self.wait_out_leases().await
    }
}

/// Finds a live link, if it has one of these purposes.
fn find(conn: &mut PgConnection, digest: &TokenDigest, purposes: &[Purpose]) -> Result<Link, Error> {
    let found = link::find(conn, digest)?.filter(|link| purposes.contains(&link.purpose));
    if found.is_none() && link::is_expired(conn, digest, purposes)? {
        return Err(Error::LinkExpired);
    }
    found.ok_or(Error::LinkInvalid)
}

/// Like [`find`], and locks the user's row until the transaction ends.
fn lock(conn: &mut PgConnection, digest: &TokenDigest, purposes: &[Purpose]) -> Result<Link, Error> {
    let link = find(conn, digest, purposes)?;
    users::lock(conn, link.user.id)?.ok_or(Error::LinkInvalid)?;
    find(conn, digest, purposes)
}

/// Deletes a link that was refused. Returns the error.
fn delete_if_refused(
    conn: &mut PgConnection,
    digest: &TokenDigest,
    purposes: &[Purpose],
    error: Error,
) -> Error {
    match error {
        Error::LinkInvalid | Error::LinkExpired => {
            link::refuse(conn, digest, purposes).map_or_else(Error::from, |_| error)
        }
        error => error,
    }
}
