//! One thread's part: as many questions as wait, answered with as few statements as there are kinds of answers.

use std::collections::HashMap;
use std::time::Instant;

use chrono::{DateTime, Utc};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use metrics::histogram;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Activity, Seat, unavailable};
use crate::auth::metrics::{BATCH_SECONDS, BATCH_SIZE};
use crate::auth::{Error, endings};
use crate::config::SessionPolicy;
use crate::db::PinnedConnection;
use crate::db::clock::{before, now, span};
use crate::db::schema::{sessions, users};
use crate::sessions::{Ending, Session, history, store};
use crate::token::TokenDigest;
use crate::users::User;
use crate::worker_pool::Worker;

/// What who asked is told.
pub(super) type Answer = Result<Seat, Error>;

/// Whose token is this?
pub(super) struct Question {
    pub(super) digest: TokenDigest,
    pub(super) activity: Activity,
    pub(super) reply: oneshot::Sender<Verdict>,
}

/// Its time is up, and somebody else holds the row: nothing is written yet, so nothing may be told.
pub(super) struct Held;

/// What a thread found.
pub(super) type Verdict = Result<Answer, Held>;

/// What a thread keeps.
pub(super) struct ValidationWorker {
    pub(super) connection: PinnedConnection,
    pub(super) policy: SessionPolicy,
}

impl Worker<Question> for ValidationWorker {
    /// More at a time is no faster: the answers to the first would wait for the last.
    const BATCH: usize = 64;

    fn work(&mut self, mut questions: Vec<Question>) {
        // Whoever asked may have gone.
        questions.retain(|question| !question.reply.is_closed());
        let digests = distinct(questions.iter().map(|question| question.digest));
        let policy = self.policy;
        let began = Instant::now();
        let found = self.connection.run(|conn| find(conn, &digests, &policy));
        histogram!(BATCH_SECONDS).record(began.elapsed());
        histogram!(BATCH_SIZE).record(u32::try_from(digests.len()).map_or(0.0, f64::from));
        let found = match found {
            Ok(found) => found,
            Err(error) => return fail(questions, &error.into()),
        };
        let (mut due, mut missing, mut over) = (Vec::new(), Vec::new(), HashMap::new());
        for question in questions {
            match found.get(&question.digest) {
                None => missing.push(question),
                Some(found) if let Some(over_by) = found.over => {
                    over.insert(question.digest, (found.seat.session.id, over_by));
                    missing.push(question);
                }
                Some(found) if found.is_due && question.activity == Activity::Active => {
                    due.push((question, found.seat.clone()));
                }
                Some(found) => question.answer(Ok(found.seat.clone())),
            }
        }
        if !due.is_empty() {
            self.touch(due);
        }
        if let Err(error) = self.write(&over) {
            let unwritten = |question: &mut Question| over.contains_key(&question.digest);
            fail(missing.extract_if(.., unwritten), &error);
        }
        if !missing.is_empty() {
            self.explain(missing, &over);
        }
    }
}

impl ValidationWorker {
    /// Writes that these sessions are over, before anybody is told.
    fn write(&mut self, over: &HashMap<TokenDigest, (Uuid, OverBy)>) -> Result<(), Error> {
        let of = |by: OverBy| -> Vec<Uuid> {
            let sessions = over.values().filter(|(_, over_by)| *over_by == by);
            sessions.map(|(id, _)| *id).collect()
        };
        let (expired, disabled, policy) = (of(OverBy::Time), of(OverBy::DisabledUser), self.policy);
        if !expired.is_empty() {
            self.connection
                .run(|conn| endings::write_expired(conn, &expired, &policy))?;
        }
        if !disabled.is_empty() {
            self.connection
                .run(|conn| endings::write_disabled(conn, &disabled, &policy))?;
        }
        Ok(())
    }

    /// Writes the activity down before the answer, so that the answer tells of it.
    fn touch(&mut self, due: Vec<(Question, Seat)>) {
        let ids = distinct(due.iter().map(|(_, seat)| seat.session.id));
        let policy = self.policy;
        let touched: HashMap<Uuid, Session> =
            match self.connection.run(|conn| store::touch(conn, &ids, &policy)) {
                Ok(touched) => touched.into_iter().map(|session| (session.id, session)).collect(),
                Err(error) => return fail(due.into_iter().map(|(question, _)| question), &error.into()),
            };
        for (question, mut seat) in due {
            // A session that was passed over lived when it was asked about, and that is the answer.
            if let Some(session) = touched.get(&seat.session.id) {
                seat.session = session.clone();
            }
            question.answer(Ok(seat));
        }
    }

    /// Says what became of the sessions that had these tokens, if any had.
    fn explain(&mut self, missing: Vec<Question>, over: &HashMap<TokenDigest, (Uuid, OverBy)>) {
        let digests = distinct(missing.iter().map(|question| question.digest));
        let endings: HashMap<TokenDigest, Ending> =
            match self.connection.run(|conn| history::find(conn, &digests)) {
                Ok(endings) => endings.into_iter().collect(),
                Err(error) => return fail(missing, &error.into()),
            };
        for question in missing {
            match endings.get(&question.digest) {
                Some(ending) => question.answer(Err(Error::SessionEnded(*ending))),
                None if over.contains_key(&question.digest) => question.reply(Err(Held)),
                None => question.answer(Err(Error::TokenInvalid)),
            }
        }
    }
}

impl Question {
    fn answer(self, answer: Answer) {
        self.reply(Ok(answer));
    }

    fn reply(self, verdict: Verdict) {
        // Whoever asked may have gone.
        let _ = self.reply.send(verdict);
    }
}

fn fail(questions: impl IntoIterator<Item = Question>, error: &Error) {
    for question in questions {
        question.answer(Err(unavailable(&error.to_string())));
    }
}

/// Each once: the same token may be asked about many times in a batch.
fn distinct<T: Eq + std::hash::Hash>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.collect::<std::collections::HashSet<T>>()
        .into_iter()
        .collect()
}

/// A seat in the table, and what PostgreSQL's clock says of it.
struct Found {
    seat: Seat,
    /// It lives no more, and its row does not know yet.
    over: Option<OverBy>,
    /// Its activity is to be written down again.
    is_due: bool,
}

/// Why a session lives no more whose row is still there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OverBy {
    /// Its time is up.
    Time,
    /// Disabling ends the session in its own transaction; plain SQL may not have.
    DisabledUser,
}

/// The one statement that most batches are.
fn find(
    conn: &mut PgConnection,
    digests: &[TokenDigest],
    policy: &SessionPolicy,
) -> QueryResult<HashMap<TokenDigest, Found>> {
    type Row = (TokenDigest, Session, User, DateTime<Utc>, DateTime<Utc>, bool);
    let rows: Vec<Row> = sessions::table
        .inner_join(users::table)
        .filter(sessions::token_digest.eq_any(digests))
        .select((
            sessions::token_digest,
            Session::as_select(),
            User::as_select(),
            store::ends_at(policy),
            now(),
            sessions::last_activity
                .le(before(now(), span(policy.activity_threshold)))
                // Later than now: the clock has stepped back since, and its time is to be counted from now on.
                .or(sessions::last_activity.gt(now())),
        ))
        .load(conn)?;
    let found = rows
        .into_iter()
        .map(|(digest, session, user, ends_at, checked_at, is_due)| {
            let over = if ends_at <= checked_at {
                Some(OverBy::Time)
            } else if user.disabled_at.is_some() {
                Some(OverBy::DisabledUser)
            } else {
                None
            };
            let seat = Seat {
                session: session.judged(ends_at),
                user,
                checked_at,
            };
            (digest, Found { seat, over, is_due })
        });
    Ok(found.collect())
}
