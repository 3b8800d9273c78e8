//! The use cases: the only place where users and sessions meet.
//!
//! One file per use case: [`sign_in`], `checked_password` (checks a password, and confirms it under lock),
//! [`endings`] (sign-out, revocation), `unwritten_ends` (expiry), [`validator`] (checks a token), [`watch`]
//! (reports the end of a session), [`page_end`] (ends a session whose page is gone), [`recovery`] (forgotten
//! and changed passwords), [`links`] (mailed links and their use), [`delivery`] (sends mail),
//! [`introspection`] (answers services), [`accounts`] (what operators and admins do to users), [`changes`]
//! (names, roles and removal of users), [`address`] (addresses of users), [`import`] (imports users of
//! another system), [`authority`] (confirms permission), `user_ref` (a reference to an account), `respelling`
//! (rewrites older addresses in today's spelling), [`lists`] (sessions and accounts), [`statistics`]
//! (figures), [`metrics`] (counters), [`sweep`] (removes old rows) and [`audit`] (the security log).

pub mod accounts;
pub mod address;
pub mod audit;
pub mod authority;
pub mod changes;
mod checked_password;
pub mod delivery;
pub mod endings;
mod error;
pub mod import;
pub mod introspection;
pub mod links;
pub mod lists;
pub mod metrics;
pub mod page_end;
pub mod recovery;
mod respelling;
pub mod sign_in;
mod sign_in_statement;
pub mod statistics;
pub mod sweep;
mod unwritten_ends;
mod user_ref;
pub mod validator;
pub mod watch;

use diesel::dsl::{select, sql};
use diesel::sql_types::Bool;
use diesel::{QueryResult, RunQueryDsl};

use crate::config::Policy;
use crate::db::{Database, PgConnection, primary, safeguards};
use crate::sessions::feed::Feed;
use crate::sessions::pages::Pages;
use crate::sessions::watchers::Watchers;
use crate::users::Hasher;

pub use authority::{Authority, Holder, LastAdmin};
pub use error::Error;
pub use respelling::{Left, Respelled, respell};
pub use sign_in::{SignedIn, Takeover, Terms};
pub(crate) use unwritten_ends::write_restored;
pub use user_ref::UserRef;
pub use validator::{Activity, Seat, Validator};

/// The parts that every use case needs. Cheap to clone.
#[derive(Clone)]
pub struct Auth {
    db: Database,
    hasher: Hasher,
    validator: Validator,
    watchers: Watchers,
    feed: Feed,
    pages: Pages,
    policy: Policy,
}

impl Auth {
    /// Combines the parts.
    pub fn new(
        db: Database,
        hasher: Hasher,
        validator: Validator,
        watchers: Watchers,
        feed: Feed,
        pages: Pages,
        policy: Policy,
    ) -> Self {
        Self {
            db,
            hasher,
            validator,
            watchers,
            feed,
            pages,
            policy,
        }
    }

    /// Runs `work` with a connection of the pool, off the async threads. If `work` refuses, the server that
    /// it read from has to prove that it is the primary, because another server may have newer data.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.db
            .run(move |conn| {
                let done = work(conn);
                if done.as_ref().is_err_and(Error::is_decided) {
                    primary::prove_for_refusal(conn)?;
                }
                done
            })
            .await
    }

    /// [`run`](Self::run) for a query, which can fail only at the database.
    async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut PgConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.run(|conn| Ok(query(conn)?)).await
    }

    /// Checks that the database answers, has all its safeguards and can be written to, and that ends can be
    /// confirmed.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn is_ready(&self) -> Result<(), Error> {
        let is_read_only = sql::<Bool>("current_setting('transaction_read_only')::boolean");
        if self.query(|conn| select(is_read_only).get_result(conn)).await? {
            return Err(Error::Unavailable("nothing can be written to it".to_owned()));
        }
        if let Err(missing) = self.query(safeguards::check).await? {
            return Err(Error::Unavailable(missing.to_string()));
        }
        if self.feed.has_failed() {
            return Err(Error::Unavailable("what has ended cannot be read".to_owned()));
        }
        Ok(())
    }
}
