//! The work of one thread: answers a batch of questions with one statement for each kind of answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use metrics::histogram;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Activity, Seat, SeatMemory, unavailable};
use crate::auth::metrics::{BATCH_SECONDS, BATCH_SIZE};
use crate::auth::{Error, unwritten_ends};
use crate::config::SessionPolicy;
use crate::db::clock::{before, now, span};
use crate::db::primary;
use crate::db::schema::{sessions, users};
use crate::db::{PgConnection, PinnedConnection};
use crate::sessions::feed::feed_server;
use crate::sessions::memory::Mark;
use crate::sessions::{Ending, Session, history, store};
use crate::token::TokenDigest;
use crate::users::User;
use crate::worker_pool::Worker;

/// The answer to the caller.
pub(super) type Answer = Result<Seat, Error>;

/// A question about a token.
pub(super) struct Question {
    pub(super) digest: TokenDigest,
    pub(super) activity: Activity,
    pub(super) reply: oneshot::Sender<Reply>,
}

/// The session expired, but another transaction has locked its row: the end is not written, so it is not
/// reported.
pub(super) struct RowHeld;

/// The result of one try.
pub(super) type Reply = Result<Answer, RowHeld>;

/// The state of one thread.
pub(super) struct ValidationWorker {
    pub(super) connection: PinnedConnection,
    pub(super) memory: Arc<SeatMemory>,
    pub(super) policy: SessionPolicy,
}

impl Worker<Question> for ValidationWorker {
    /// Larger batches are no faster: the first answers would wait for the last.
    const BATCH: usize = 64;

    fn work(&mut self, mut questions: Vec<Question>) {
        // The caller may have gone.
        questions.retain(|question| !question.reply.is_closed());
        let digests = distinct(questions.iter().map(|question| question.digest));
        let policy = self.policy;
        let mark = self.memory.mark();
        let began = Instant::now();
        let size = u32::try_from(digests.len()).map_or(0.0, f64::from);
        let memory = self.memory.clone();
        let found = self.connection.run(move |conn| {
            primary::with_one_server(conn, |conn| {
                let found = find(conn, &digests, &policy)?;
                let is_shown =
                    |found: &Found| !found.is_replicated || memory.is_leased_by(found.server.as_deref());
                if let Some(found) = found.values().find(|found| !is_shown(found)) {
                    primary::prove(conn, found.server.as_deref())?;
                } else if found.len() < digests.len() {
                    // Another primary may have opened the session.
                    primary::prove_if_replicated(conn)?;
                }
                Ok(found)
            })
        });
        histogram!(BATCH_SECONDS).record(began.elapsed());
        histogram!(BATCH_SIZE).record(size);
        let found = match found {
            Ok(found) => found,
            Err(error) => return fail(questions, &error.into()),
        };
        self.remember(mark, &found);
        let (mut due, mut missing, mut over) = (Vec::new(), Vec::new(), HashMap::new());
        for question in questions {
            match found.get(&question.digest) {
                None => {
                    self.memory.forget(&question.digest);
                    missing.push(question);
                }
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
    /// Keeps the live sessions in memory, except those whose activity is about to be written.
    fn remember(&self, mark: Mark, found: &HashMap<TokenDigest, Found>) {
        for (digest, found) in found.iter().filter(|(_, found)| !found.is_due) {
            if let (None, Some(server)) = (&found.over, &found.server) {
                let Seat { session, user, .. } = &found.seat;
                let value = (session.clone(), user.clone());
                self.memory.keep(mark, server, user.id, *digest, value);
            }
        }
    }

    /// Writes the ends of these sessions, before they are reported.
    fn write(&mut self, over: &HashMap<TokenDigest, (Uuid, OverBy)>) -> Result<(), Error> {
        let of = |by: OverBy| -> Vec<Uuid> {
            let sessions = over.values().filter(|(_, over_by)| *over_by == by);
            sessions.map(|(id, _)| *id).collect()
        };
        let (expired, disabled, policy) = (of(OverBy::Time), of(OverBy::DisabledUser), self.policy);
        if !expired.is_empty() {
            self.connection
                .run(move |conn| unwritten_ends::write_over(conn, &expired, &policy))?;
        }
        if !disabled.is_empty() {
            self.connection
                .run(move |conn| unwritten_ends::write_disabled(conn, &disabled, &policy))?;
        }
        Ok(())
    }

    /// Writes the activity before the answer, so that the answer includes it.
    fn touch(&mut self, due: Vec<(Question, Seat)>) {
        let ids = distinct(due.iter().map(|(_, seat)| seat.session.id));
        let policy = self.policy;
        let touched: HashMap<Uuid, Session> =
            match self.connection.run(move |conn| store::touch(conn, &ids, &policy)) {
                Ok(touched) => touched.into_iter().map(|session| (session.id, session)).collect(),
                Err(error) => return fail(due.into_iter().map(|(question, _)| question), &error.into()),
            };
        for (question, mut seat) in due {
            // A session that `touch` skipped was live when it was found, and that is the answer.
            if let Some(session) = touched.get(&seat.session.id) {
                seat.session = Arc::new(session.clone());
            }
            question.answer(Ok(seat));
        }
    }

    /// Answers questions without a live session: with its end, if there is one.
    fn explain(&mut self, missing: Vec<Question>, over: &HashMap<TokenDigest, (Uuid, OverBy)>) {
        let digests = distinct(missing.iter().map(|question| question.digest));
        let endings: HashMap<TokenDigest, Ending> =
            match self.connection.run(move |conn| found_ends(conn, &digests)) {
                Ok(endings) => endings.into_iter().collect(),
                Err(error) => return fail(missing, &error.into()),
            };
        for question in missing {
            match endings.get(&question.digest) {
                Some(ending) => question.answer(Err(Error::SessionEnded(*ending))),
                None if over.contains_key(&question.digest) => question.reply(Err(RowHeld)),
                None => question.answer(Err(Error::TokenInvalid)),
            }
        }
    }
}

impl Question {
    fn answer(self, answer: Answer) {
        self.reply(Ok(answer));
    }

    fn reply(self, answer: Reply) {
        // The caller may have gone.
        let _ = self.reply.send(answer);
    }
}

fn fail(questions: impl IntoIterator<Item = Question>, error: &Error) {
    for question in questions {
        question.answer(Err(unavailable(&error.to_string())));
    }
}

/// Removes duplicates: a batch may contain a token many times.
fn distinct<T: Eq + std::hash::Hash>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.collect::<std::collections::HashSet<T>>()
        .into_iter()
        .collect()
}

/// The ends of the sessions that had these tokens. This connection may not be the one on which no live
/// session was found. So if an end is missing, this server, too, has to prove that it is the primary.
fn found_ends(conn: &mut PgConnection, digests: &[TokenDigest]) -> QueryResult<Vec<(TokenDigest, Ending)>> {
    primary::with_one_server(conn, |conn| {
        let ends = history::find(conn, digests)?;
        if ends.len() < digests.len() {
            primary::prove_if_replicated(conn)?;
        }
        Ok(ends)
    })
}

/// A seat in the table, judged by PostgreSQL's clock.
struct Found {
    seat: Seat,
    /// Set when the session is over, but its end is not written.
    over: Option<OverBy>,
    /// Whether its activity is due to be written again.
    is_due: bool,
    /// The server that answered.
    server: Option<String>,
    /// Whether the server waits for a standby at each commit, so that it can prove that it is the primary.
    is_replicated: bool,
}

/// Why a session is over although its row is still there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OverBy {
    /// The session expired, or a backup brought it back.
    Time,
    /// The user is disabled. Disabling ends the session itself; plain SQL may not have.
    DisabledUser,
}

/// Finds the seats: the only statement of most batches.
fn find(
    conn: &mut PgConnection,
    digests: &[TokenDigest],
    policy: &SessionPolicy,
) -> QueryResult<HashMap<TokenDigest, Found>> {
    type Row = (
        TokenDigest,
        Session,
        User,
        DateTime<Utc>,
        DateTime<Utc>,
        bool,
        Option<String>,
        bool,
    );
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
                // `last_activity` in the future: the clock has stepped back, and time counts from now on.
                .or(sessions::last_activity.gt(now())),
            diesel::select(feed_server()).single_value(),
            primary::is_replicated(),
        ))
        .load(conn)?;
    let found = rows.into_iter().map(
        |(digest, session, user, ends_at, checked_at, is_due, server, is_replicated)| {
            let over = if ends_at <= checked_at {
                Some(OverBy::Time)
            } else if user.disabled_at.is_some() {
                Some(OverBy::DisabledUser)
            } else {
                None
            };
            let seat = Seat {
                session: Arc::new(session.judged(ends_at)),
                user: Arc::new(user),
                checked_at,
            };
            let found = Found {
                seat,
                over,
                is_due,
                server,
                is_replicated,
            };
            (digest, found)
        },
    );
    Ok(found.collect())
}
