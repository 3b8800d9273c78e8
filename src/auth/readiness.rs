//! Can this instance do its work? Load balancers ask often, and strangers may ask as often as they like: so few of
//! these questions reach the database.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::RunQueryDsl;
use diesel::dsl::{select, sql};
use diesel::sql_types::Bool;

use super::{Auth, Error};
use crate::db::safeguards;

/// How long it is remembered that all was well, unless the database fails somebody meanwhile.
const REMEMBERED: Duration = Duration::from_secs(1);

/// What is known. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Readiness(Arc<Inner>);

#[derive(Default)]
struct Inner {
    known: Mutex<Option<Known>>,
    /// Held while the database is asked.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// An answer of the database.
#[derive(Clone)]
struct Known {
    asked: Instant,
    /// `Err`: why it is not ready.
    answer: Result<(), String>,
}

impl Readiness {
    /// The database has failed somebody: the next one who wants to know asks.
    pub(super) fn forget(&self) {
        *self.last() = None;
    }

    fn last(&self) -> MutexGuard<'_, Option<Known>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer to a question of after `came`, or one that all was well a moment ago.
    fn known(&self, came: Instant) -> Option<Result<(), Error>> {
        let known = self.last().clone()?;
        let is_of_now = known.asked >= came || (known.answer.is_ok() && known.asked.elapsed() < REMEMBERED);
        is_of_now.then(|| known.answer.map_err(Error::Unavailable))
    }
}

impl Auth {
    /// Does the database answer, is it whole, could it be written to, and can ends be confirmed? The answer may be a
    /// second old if it is yes.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn is_ready(&self) -> Result<(), Error> {
        if self.feed.has_failed() {
            return Err(Error::Unavailable("what has ended cannot be read".to_owned()));
        }
        let came = Instant::now();
        if let Some(answer) = self.readiness.known(came) {
            return answer;
        }
        let turn = self.readiness.0.turn.clone().lock_owned().await;
        // Somebody may have asked while this one waited.
        if let Some(answer) = self.readiness.known(came) {
            return answer;
        }
        let this = self.clone();
        // A caller that leaves does not take the answer from the others.
        let asking = tokio::spawn(async move {
            let asked = Instant::now();
            let answer = this.ask_whether_ready().await;
            let answer = answer.map_err(|error| match error {
                Error::Unavailable(why) => why,
                error => error.to_string(),
            });
            *this.readiness.last() = Some(Known {
                asked,
                answer: answer.clone(),
            });
            drop(turn);
            answer
        });
        let answer = asking.await.unwrap_or_else(|error| Err(error.to_string()));
        answer.map_err(Error::Unavailable)
    }

    async fn ask_whether_ready(&self) -> Result<(), Error> {
        let is_read_only = sql::<Bool>("current_setting('transaction_read_only')::boolean");
        if self.query(|conn| select(is_read_only).get_result(conn)).await? {
            return Err(Error::Unavailable("nothing can be written to it".to_owned()));
        }
        if let Err(missing) = self.query(safeguards::check).await? {
            return Err(Error::Unavailable(missing.to_string()));
        }
        Ok(())
    }
}
