//! The use cases: the only place where users and sessions meet.
//!
//! One file a story: [`sign_in`], [`sign_out`], [`validator`] (whose token is this?), [`accounts`] (what operators do to
//! users), [`directory`] (who is signed in) and [`cleanup`].

pub mod accounts;
pub mod cleanup;
pub mod directory;
mod error;
pub mod sign_in;
pub mod sign_out;
pub mod validator;

use crate::config::{LockoutPolicy, SessionPolicy};
use crate::db::{Database, Unavailable};
use crate::sessions::{EndReason, Session};
use crate::users::Hasher;

pub use error::Error;
pub use sign_in::SignedIn;
pub use validator::{Activity, Seat};

/// What every use case needs. Cheap to clone.
#[derive(Clone)]
pub struct Auth {
    db: Database,
    hasher: Hasher,
    sessions: SessionPolicy,
    lockout: LockoutPolicy,
}

impl Auth {
    /// Brings the parts together.
    pub fn new(db: Database, hasher: Hasher, sessions: SessionPolicy, lockout: LockoutPolicy) -> Self {
        Self {
            db,
            hasher,
            sessions,
            lockout,
        }
    }

    /// Does the database answer?
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn is_ready(&self) -> Result<(), Error> {
        use diesel::RunQueryDsl;
        self.db
            .run(|conn| {
                diesel::sql_query("select 1")
                    .execute(conn)
                    .map_err(Unavailable::from)
            })
            .await?;
        Ok(())
    }
}

/// Said once the transaction that ended them is committed.
fn log_end(ended: &[Session], reason: EndReason) {
    for session in ended {
        log::info!(
            "session {} of user {} ended: {reason}",
            session.id,
            session.user_id
        );
    }
}
