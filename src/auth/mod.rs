//! The use cases: the only place where users and sessions meet.
//!
//! One file per use case: [`sign_in`], `checked_password` (checks a password, and confirms it under lock),
//! [`endings`] (sign-out, revocation), `unwritten_ends` (expiry), [`validator`] (checks a token), [`watch`]
//! (reports the end of a session), [`page_end`] (ends a session whose page is gone), [`recovery`] (forgotten
//! and changed passwords), [`links`] (mailed links and their use), [`delivery`] (sends mail),
//! [`introspection`] (answers services), [`accounts`] (what operators and admins do to users), [`changes`]
//! (names, roles and removal of users), [`address`] (addresses of users), [`import`] (imports users of
//! another system), [`authority`] (confirms permission), `user_ref` (a reference to an account), `respelling`
//! (rewrites older addresses in today's spelling), `plain_names` (lets searches find older
//! rows), [`lists`] (sessions and accounts), [`statistics`]
//! (figures), [`metrics`] (counters), `readiness` (says whether the instance is ready), [`sweep`] (removes
//! old rows) and [`audit`] (the security log).

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
mod plain_names;
mod readiness;
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

use diesel::QueryResult;

use crate::config::Policy;
use crate::db::{Database, PgConnection, primary};
use crate::sessions::feed::Feed;
use crate::sessions::pages::Pages;
use crate::sessions::watchers::Watchers;
use crate::users::Hasher;

use readiness::Readiness;

pub use authority::{Authority, Holder, LastAdmin};
pub use error::Error;
pub use plain_names::fill_in_plain_names;
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
    readiness: Readiness,
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
            readiness: Readiness::default(),
            policy,
        }
    }

    /// Runs `work` with a connection of the pool, off the async threads. If `work` refuses, the server that
    /// it read from has to prove that it is the primary, because another server may have newer data.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let done = self
            .db
            .run(move |conn| {
                let done = work(conn);
                if done.as_ref().is_err_and(Error::is_decided) {
                    primary::prove_for_refusal(conn)?;
                }
                done
            })
            .await;
        if matches!(done, Err(Error::Unavailable(_))) {
            self.readiness.forget();
        }
        done
    }

    /// [`run`](Self::run) for a query, which can fail only at the database.
    async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut PgConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.run(|conn| Ok(query(conn)?)).await
    }
}
