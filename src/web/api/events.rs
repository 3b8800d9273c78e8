//! `GET /auth/session/events` tells the page when its session ends, and why.
//!
//! Server-sent events (WHATWG HTML 9.2). `ended` with `{reason, at}` is the last event of its stream; admins
//! also get `changed`, without data, when anybody comes or goes.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use futures_util::stream::{Stream, unfold};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use crate::auth::{Auth, Error};
use crate::sessions::Ending;
use crate::sessions::store::SessionStatus;
use crate::sessions::watchers::Watcher;
use crate::users::Role;
use crate::web::extract::Passive;
use crate::web::problem::Problem;

/// Something is sent at least this often, so that proxies and pages know that the stream lives.
const BEAT: Duration = Duration::from_secs(20);
/// Pause before the next look after the database gave no answer.
const RETRY: Duration = Duration::from_secs(1);

/// An open stream.
struct Events {
    auth: Data<Auth>,
    watcher: Watcher,
    session: uuid::Uuid,
    user: uuid::Uuid,
    is_admin: bool,
    next_beat: Instant,
    /// When the session expires, unless it is extended in the meantime.
    next_look: Instant,
    state: State,
}

enum State {
    Opening,
    Open,
    Ending(Ending),
    Done,
}

/// Tells when the session ends, and why.
///
/// A stream of server-sent events: read it with a client for such streams, not with one that waits for the end of
/// the answer. `ended` with `{reason, at}` is the last; admins also get `changed` when anybody comes or goes. It
/// never counts as activity, and closes when the session's time is up.
#[utoipa::path(
    get, path = "/auth/session/events", tag = "session", operation_id = "session_events",
    responses(
        (status = 200, description = "Server-sent events", body = String, content_type = "text/event-stream",
            headers(("X-Accel-Buffering" = String, description = "`no`: a proxy must not hold events back"))),
        Passive,
    ),
)]
pub async fn events(seat: Passive, auth: Data<Auth>) -> Result<HttpResponse, Problem> {
    let (session, user) = (seat.0.session.id, seat.0.user.id);
    let watcher = auth.watch(user, session)?;
    // The place is taken before this look, so that the end of a live session is not missed.
    let (state, left) = match auth.status(session).await? {
        SessionStatus::Live(left) => (State::Opening, left),
        SessionStatus::Ended(ending) => (State::Ending(ending), Duration::ZERO),
        SessionStatus::Over => return Err(Problem::unavailable()),
        SessionStatus::Forgotten => return Err(Problem::token_invalid()),
    };
    let events = Events {
        watcher,
        session,
        user,
        is_admin: seat.0.user.role == Role::Admin,
        next_beat: Instant::now() + BEAT,
        next_look: Instant::now() + left,
        state,
        auth,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // nginx would hold events back until its buffer is full.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(events.stream()))
}

impl Events {
    fn stream(self) -> impl Stream<Item = Result<Bytes, Error>> {
        unfold(self, |mut this| async move {
            let chunk = this.next().await?;
            Some((Ok(Bytes::from(chunk)), this))
        })
    }

    async fn next(&mut self) -> Option<String> {
        match std::mem::replace(&mut self.state, State::Open) {
            State::Opening => return Some(comment("open")),
            State::Ending(ending) => return Some(self.last(ending)),
            State::Done => return None,
            State::Open => {}
        }
        loop {
            tokio::select! {
                ended = &mut self.watcher.ended => return match ended {
                    Ok(ending) => Some(self.last(ending)),
                    // The instance stops: the page connects again, to another.
                    Err(_) => None,
                },
                changed = self.watcher.changes.changed(), if self.is_admin => {
                    changed.ok()?;
                    match self.auth.is_admin(self.user).await {
                        Ok(true) => return Some("event: changed\ndata:\n\n".to_owned()),
                        // The user is no admin any more. The page connects again with its new role.
                        Ok(false) => return None,
                        Err(_) => {}
                    }
                }
                () = sleep_until(self.next_beat) => {
                    self.next_beat = Instant::now() + BEAT;
                    return Some(comment("beat"));
                }
                () = sleep_until(self.next_look) => match self.auth.status(self.session).await {
                    Ok(SessionStatus::Live(left)) => self.next_look = Instant::now() + left,
                    Ok(SessionStatus::Ended(ending)) => return Some(self.last(ending)),
                    Ok(SessionStatus::Over) | Err(Error::Unavailable(_)) => self.next_look = Instant::now() + RETRY,
                    Ok(SessionStatus::Forgotten) | Err(_) => return None,
                },
            }
        }
    }

    fn last(&mut self, ending: Ending) -> String {
        self.state = State::Done;
        let data = json!({ "reason": ending.reason.as_str(), "at": ending.at });
        format!("event: ended\ndata: {data}\n\n")
    }
}

/// Something to send when there is nothing to tell. Without an empty line after it: several clients take each empty
/// line for the end of a message, and hand an empty one out.
fn comment(words: &str) -> String {
    format!(": {words}\n")
}
