//! `GET /auth/session/events` tells the page when its session ends, and why.
//!
//! Server-sent events (WHATWG HTML 9.2). `ended` with `{reason, at}` is the last event of its stream; admins
//! also get `changed`, without data, when what their lists show has changed.
//!
//! A page that learns here that its session was replaced is also told by which browser and address. A client that
//! presents a dead token is not told: neither by a 401, nor by a stream that is opened after the end.

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::{Stream, unfold};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use crate::auth::{Auth, Error};
use crate::sessions::pages::PageStream;
use crate::sessions::store::SessionStatus;
use crate::sessions::watchers::Watcher;
use crate::sessions::{Device, EndReason, Ending, Replacement};
use crate::users::Role;
use crate::web::extract::Passive;
use crate::web::extract::client;
use crate::web::extract::query::query;
use crate::web::problem::Problem;

/// Something is sent at least this often, so that proxies and pages know that the stream lives.
const BEAT: Duration = Duration::from_secs(20);
/// Pause before the session is looked up again, after the database gave no answer.
const RETRY: Duration = Duration::from_secs(1);

/// An open stream.
struct Events {
    auth: Data<Auth>,
    watcher: Watcher,
    session: uuid::Uuid,
    user: uuid::Uuid,
    is_admin: bool,
    is_of_page: bool,
    next_beat: Instant,
    /// When to look the session up again: it expires then, unless it is extended in the meantime.
    next_look: Instant,
    /// Whether the stream closes at once.
    once: bool,
    state: State,
    /// Shows that the page is still there. Only for a session that ends with its page.
    page: Option<PageStream>,
}

enum State {
    Opening,
    Open,
    Ending(Ending),
    Done,
}

/// `GET /auth/session/events`
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    /// The server closes the stream at once. For pages that ask now and then, because a browser has few connections
    /// to one origin over HTTP/1.1.
    #[serde(default)]
    #[param(value_type = bool, required = false)]
    once: bool,
}

/// Tells when the session ends, and why.
///
/// A stream of server-sent events: read it with a client for such streams, not with one that waits for the end of
/// the answer. `ended` with `{reason, at}` is the last; admins also get `changed` when what their lists show has changed. It
/// never counts as activity, and closes when the session's time is up.
#[utoipa::path(
    get, path = "/auth/session/events", tag = "session", operation_id = "session_events",
    params(EventsQuery),
    responses(
        (status = 200, description = "Server-sent events", body = serde_json::Value, content_type = "text/event-stream",
            headers(("X-Accel-Buffering" = String, description = "`no`: a proxy must not hold events back"))),
        Passive,
    ),
)]
pub async fn events(seat: Passive, request: HttpRequest, auth: Data<Auth>) -> Result<HttpResponse, Problem> {
    let takes = "The query takes once, true or false, and nothing else";
    let query: EventsQuery = query(&request, takes)?;
    let (session, user) = (seat.0.session.id, seat.0.user.id);
    let watcher = auth.watch(user, session)?;
    // The watcher is registered before this look-up, so that the end of a live session is not missed.
    let (state, left) = match auth.status(session).await? {
        SessionStatus::Live(left) => (State::Opening, left),
        SessionStatus::Ended(ending) => (State::Ending(ending), Duration::ZERO),
        SessionStatus::Over => return Err(Problem::unavailable()),
        SessionStatus::Forgotten => return Err(Problem::token_invalid()),
    };
    let page = match seat.0.session.ends_with_page {
        true => Some(auth.open_page_stream(session, client::proxy(&request)).await?),
        false => None,
    };
    let events = Events {
        page,
        watcher,
        session,
        user,
        is_admin: seat.0.user.role == Role::Admin,
        is_of_page: seat.0.session.ends_with_page,
        next_beat: Instant::now() + BEAT,
        next_look: Instant::now() + left,
        once: query.once,
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
            let chunk = this.next().await;
            if chunk.is_none() {
                this.page.as_mut().map(PageStream::close);
            }
            Some((Ok(Bytes::from(chunk?)), this))
        })
    }

    async fn next(&mut self) -> Option<String> {
        match std::mem::replace(&mut self.state, State::Open) {
            State::Opening => {
                if self.once {
                    self.state = State::Done;
                }
                return Some(comment("open"));
            }
            State::Ending(ending) => return Some(self.last(ending, None)),
            State::Done => return None,
            State::Open => {}
        }
        loop {
            tokio::select! {
                ended = &mut self.watcher.ended => return match ended {
                    Ok(ending) => Some(self.last_with_details(ending).await),
                    // The instance stops: the page connects again, to another.
                    Err(_) => None,
                },
                changed = self.watcher.changes.changed(), if self.is_admin => {
                    changed.ok()?;
                    match self.auth.is_admin(self.user).await {
                        Ok(true) => return Some("event: changed\ndata:\n\n".to_owned()),
                        // The user is no admin any more, or the database cannot tell. The page connects again with its role.
                        Ok(false) | Err(_) => return None,
                    }
                }
                // The user may be an admin now. The page connects again with its role, also if the database cannot tell.
                () = self.watcher.named.notified(), if !self.is_admin => {
                    if !matches!(self.auth.is_admin(self.user).await, Ok(false)) {
                        return None;
                    }
                }
                () = sleep_until(self.next_beat) => {
                    self.next_beat = Instant::now() + BEAT;
                    return Some(comment("beat"));
                }
                () = sleep_until(self.next_look) => match self.auth.status(self.session).await {
                    Ok(SessionStatus::Live(left)) => self.next_look = Instant::now() + left,
                    Ok(SessionStatus::Ended(ending)) => return Some(self.last_with_details(ending).await),
                    Ok(SessionStatus::Over) | Err(Error::Unavailable(_)) => self.next_look = Instant::now() + RETRY,
                    Ok(SessionStatus::Forgotten) | Err(_) => return None,
                },
            }
        }
    }

    /// The last event of a stream that was open when the session ended.
    async fn last_with_details(&mut self, ending: Ending) -> String {
        let by = match self.is_of_page && ending.reason == EndReason::Replaced {
            true => self.auth.replacement(ending.session).await,
            false => None,
        };
        self.last(ending, by)
    }

    fn last(&mut self, ending: Ending, by: Option<Replacement>) -> String {
        self.state = State::Done;
        let mut data = json!({ "reason": ending.reason.as_str(), "at": ending.at });
        if let Some(by) = by {
            data["by"] = json!({
                "device": Device::of(by.user_agent.as_deref()).to_string(),
                "address": by.ip_address.ip(),
                "isSameBrowser": by.is_same_browser,
            });
        }
        format!("event: ended\ndata: {data}\n\n")
    }
}

/// A comment line of the stream, which clients ignore. No empty line follows it: several clients take each empty line
/// for the end of a message, and deliver an empty one.
fn comment(words: &str) -> String {
    format!(": {words}\n")
}
