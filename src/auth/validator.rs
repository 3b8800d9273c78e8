//! Whose token is this?
//!
//! Never answered from memory: each answer comes from a query that began after the question was asked (law 2), and PostgreSQL
//! decides by its own clock whether the session still lives (law 3).
//!
//! What makes it fast is company: a few threads each take all questions that wait and ask the database once. An idle server
//! has batches of one, which nothing delays; the busier it is, the fewer statements a question costs.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use metrics::histogram;
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use super::audit::{self, Actor};
use super::measures::{BATCH_SECONDS, BATCH_SIZE};
use super::{Auth, Error};
use crate::config::SessionPolicy;
use crate::crew::{Crew, Full, Worker};
use crate::db::clock::{before, now, span};
use crate::db::schema::{sessions, users};
use crate::db::{Database, Dedicated};
use crate::sessions::store::Look;
use crate::sessions::{EndReason, EndedSession, Ending, Session, history, store};
use crate::token::{Token, TokenDigest};
use crate::users::User;

/// Questions that may wait: some tenths of a second of work.
const QUEUE: usize = 4_096;

/// Nobody waits longer for an answer, whatever the database does.
const DEADLINE: Duration = Duration::from_secs(8);

/// Does a request count as the user being there?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// The user did something.
    Active,
    /// The page looked by itself: never extends a session.
    Passive,
}

/// A live session and whose it is.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The live session.
    pub session: Session,
    /// Whose it is.
    pub user: User,
    /// When PostgreSQL said so.
    pub checked_at: DateTime<Utc>,
}

impl Auth {
    /// The seat that a token holds.
    ///
    /// # Errors
    /// [`Error::SessionEnded`] with the reason, for as long as it is kept; [`Error::TokenInvalid`];
    /// [`Error::Unavailable`].
    pub async fn validate(&self, token: &Token, activity: Activity) -> Result<Seat, Error> {
        self.validator.ask(token.digest(), activity).await
    }

    /// Does the session end when it ends, however active its user is?
    pub fn is_final(&self, seat: &Seat) -> bool {
        let Session {
            created_at,
            expires_at,
            ends_at,
            ..
        } = seat.session;
        let lifetime = TimeDelta::from_std(self.policy.sessions.max_lifetime).unwrap_or(TimeDelta::MAX);
        let end = created_at.checked_add_signed(lifetime);
        end.into_iter().chain(ends_at).any(|end| expires_at >= end)
    }
}

/// A session as it may be told of: that its time is up has been written by then.
pub(super) fn settled(conn: &mut PgConnection, session: Uuid, policy: &SessionPolicy) -> Result<Look, Error> {
    match store::look_at(conn, session, policy)? {
        Look::Over => {
            settle(conn, &[session], EndReason::Expired)?;
            match store::look_at(conn, session, policy)? {
                Look::Over => Err(unavailable("the end could not be written")),
                look => Ok(look),
            }
        }
        look => Ok(look),
    }
}

/// Writes that sessions have ended, and says so in the log: here, by whoever was first.
pub(super) fn settle(
    conn: &mut PgConnection,
    ids: &[Uuid],
    reason: EndReason,
) -> QueryResult<Vec<EndedSession>> {
    let ended = conn.transaction(|conn| history::settle(conn, ids, reason))?;
    audit::ended(&ended, Actor::Time);
    Ok(ended)
}

/// Why a session that was live a moment ago is not.
pub(super) fn why_ended(
    conn: &mut PgConnection,
    session: Uuid,
    policy: &SessionPolicy,
) -> Result<Error, Error> {
    Ok(match settled(conn, session, policy)? {
        Look::Ended(ending) => Error::SessionEnded(ending),
        Look::Live(_) | Look::Over | Look::Forgotten => Error::TokenInvalid,
    })
}

/// The threads that validate. Cheap to clone; they end with the last clone.
#[derive(Clone)]
pub struct Validator {
    crew: Crew<Question>,
}

type Answer = Result<Seat, Error>;

struct Question {
    digest: TokenDigest,
    activity: Activity,
    reply: oneshot::Sender<Answer>,
}

impl Validator {
    /// Starts `threads` threads, each with a connection of its own: fewer than the database has, or nobody else gets one.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(db: &Database, threads: usize, policy: SessionPolicy) -> io::Result<Self> {
        let db = db.clone();
        let hire = move || Clerk {
            connection: db.dedicate(),
            policy,
        };
        Ok(Self {
            crew: Crew::start("validator", threads, QUEUE, hire)?,
        })
    }

    /// Questions that wait for their turn.
    pub fn waiting(&self) -> usize {
        self.crew.waiting()
    }

    async fn ask(&self, digest: TokenDigest, activity: Activity) -> Answer {
        let (reply, answer) = oneshot::channel();
        let question = Question {
            digest,
            activity,
            reply,
        };
        self.crew
            .submit(question)
            .map_err(|Full| unavailable("too many requests are waiting"))?;
        timeout(DEADLINE, answer)
            .await
            .map_err(|_| unavailable("no answer in time"))?
            .map_err(|_| unavailable("the question was lost"))?
    }
}

fn unavailable(why: &str) -> Error {
    Error::Unavailable(why.to_owned())
}

/// One thread's part.
struct Clerk {
    connection: Dedicated,
    policy: SessionPolicy,
}

impl Worker<Question> for Clerk {
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
        let (mut due, mut missing, mut over) = (Vec::new(), Vec::new(), Vec::new());
        for question in questions {
            match found.get(&question.digest) {
                None => missing.push(question),
                Some(found) if let Some(reason) = found.over => {
                    over.push((found.seat.session.id, reason));
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
        if missing.is_empty() {
            return;
        }
        match self.settle(&over) {
            Ok(()) => self.explain(missing),
            Err(error) => fail(missing, &error),
        }
    }
}

impl Clerk {
    /// Writes that these sessions are over, before anybody is told: what was told is true for good, whatever the clock does.
    fn settle(&mut self, over: &[(Uuid, EndReason)]) -> Result<(), Error> {
        for reason in [EndReason::Expired, EndReason::AccountDisabled] {
            let of_reason = over.iter().filter(|(_, why)| *why == reason);
            let ids = distinct(of_reason.map(|(id, _)| *id));
            if !ids.is_empty() {
                self.connection.run(|conn| settle(conn, &ids, reason))?;
            }
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
    fn explain(&mut self, missing: Vec<Question>) {
        let digests = distinct(missing.iter().map(|question| question.digest));
        let endings: HashMap<TokenDigest, Ending> =
            match self.connection.run(|conn| history::find(conn, &digests)) {
                Ok(endings) => endings.into_iter().collect(),
                Err(error) => return fail(missing, &error.into()),
            };
        for question in missing {
            let ending = endings.get(&question.digest).copied();
            question.answer(Err(ending.map_or(Error::TokenInvalid, Error::SessionEnded)));
        }
    }
}

impl Question {
    fn answer(self, answer: Answer) {
        // Whoever asked may have gone.
        let _ = self.reply.send(answer);
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
    over: Option<EndReason>,
    /// Its activity is old enough to be written down again.
    is_due: bool,
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
            sessions::last_activity.le(before(now(), span(policy.activity_threshold))),
        ))
        .load(conn)?;
    let found = rows
        .into_iter()
        .map(|(digest, mut session, user, ends_at, checked_at, is_due)| {
            // What today's limits say is what is told.
            session.expires_at = ends_at;
            let over = if ends_at <= checked_at {
                Some(EndReason::Expired)
            } else if user.disabled_at.is_some() {
                // Disabling ends the session in its own transaction; plain SQL may not.
                Some(EndReason::AccountDisabled)
            } else {
                None
            };
            let seat = Seat {
                session,
                user,
                checked_at,
            };
            (digest, Found { seat, over, is_due })
        });
    Ok(found.collect())
}
