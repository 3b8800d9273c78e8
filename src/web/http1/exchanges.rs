//! The exchanges of one connection: when a head, a body or the next request is due, and whose turn it is.
//!
//! Requests may come in a row without waiting for answers (RFC 9112 9.3.2). Each begins only when the client
//! has taken the answers before it. Few are read ahead: otherwise a client that takes no answers could have
//! any number of them kept.
//!
//! An answer may take long, as an event stream does. A client that begins its next request meanwhile is cut
//! off if its turn does not come within the time for a head: it would fill a buffer that nobody empties.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_http::Request;
use actix_web::dev::Payload;
use actix_web::http::header::{CONNECTION, HeaderMap};
use futures_util::StreamExt;
use futures_util::stream::poll_fn as poll_stream;
use tokio::time::Instant;

/// Longest time from the first byte of a request to the end of its head.
pub(super) const SLOWEST_HEAD: Duration = Duration::from_secs(5);
/// What the parser leaves to this module is cut off without an answer. Where both watch, this lets the
/// parser's `408` come first.
const AFTER_THE_PARSER: Duration = Duration::from_secs(1);
/// How long an idle connection is kept.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a connection that is to be closed may stay open for what is still under way.
const LINGER: Duration = Duration::from_secs(2);
/// How long to wait after an answer to a request whose body was not read: the rest may be announced and never
/// come.
const UNREAD_BODY: Duration = Duration::from_secs(5);
/// Most bytes given to the parser at a time, and of later requests while one is under way. The parser takes
/// in every request that it is given, and a request of eighteen bytes takes two kilobytes to keep.
const AHEAD: usize = 2 * 1_024;

/// What a connection is doing. The stream reports bytes, and each request its [`Turn`].
#[derive(Default)]
pub(super) struct Exchanges {
    /// When the client must have gone on: with a head, the rest of a body, or the next request.
    deadline: Cell<Option<Instant>>,
    /// Requests that are being answered.
    under_way: Cell<u32>,
    /// Bytes came while a request was under way: of its body, or of the next head.
    more_came: Cell<bool>,
    /// A body was announced, and its end was not read.
    body_is_unread: Cell<bool>,
    /// The answer says that the connection will be closed.
    is_last: Cell<bool>,
    /// Bytes given to the parser since its last turn.
    ahead: Cell<usize>,
    /// The reader, which waits when there is enough ahead.
    reader: Cell<Option<Waker>>,
    /// An answer was made, and the client has not taken all of it.
    is_unsent: Cell<bool>,
    /// The next request, which waits until the answer is taken.
    next: Cell<Option<Waker>>,
}

impl Exchanges {
    /// When the client must have gone on, if it must.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline.get()
    }

    /// Completes with the most bytes that the parser can take now.
    pub(super) fn poll_ahead(&self, cx: &Context<'_>) -> Poll<usize> {
        let room = AHEAD - self.ahead.get();
        if room > 0 {
            return Poll::Ready(room);
        }
        if self.under_way.get() > 0 && !self.body_is_unread.get() {
            self.reader.set(Some(cx.waker().clone()));
        } else {
            // Reading goes on as soon as the parser has looked at what it has.
            self.ahead.set(0);
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// The parser was given this many bytes, and not more than it can take.
    pub(super) fn bytes_came(&self, bytes: usize) {
        self.ahead.set(self.ahead.get() + bytes);
        if self.under_way.get() > 0 {
            self.more_came.set(true);
        } else if self.deadline.get().is_none() {
            self.deadline
                .set(Some(Instant::now() + SLOWEST_HEAD + AFTER_THE_PARSER));
        }
    }

    /// The client has sent no more for now.
    pub(super) fn all_is_read(&self) {
        if self.under_way.get() == 0 {
            self.ahead.set(0);
        }
    }

    /// The client has taken what was made for it.
    pub(super) fn all_is_sent(&self) {
        self.is_unsent.set(false);
        if let Some(next) = self.next.take() {
            next.wake();
        }
    }

    fn request_ended(&self) {
        self.is_unsent.set(true);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        self.under_way.set(self.under_way.get() - 1);
        let more_came = self.more_came.take();
        if self.is_last.get() {
            // The rest of a refused body is taken in for a moment, so that the client gets to read why.
            self.deadline.set(Some(Instant::now() + LINGER));
        } else if self.body_is_unread.get() {
            self.deadline.set(Some(Instant::now() + UNREAD_BODY));
        } else if more_came {
            // The bytes may have been the body; then this is only the pause before the next request.
            self.deadline.set(Some(Instant::now() + KEEP_ALIVE));
        }
    }
}

/// A request under way. It ends when this is dropped, however the request ends.
pub(super) struct Turn(Rc<Exchanges>);

impl Turn {
    /// Begins the request. One that came on no [`super::connection::Connection`] needs no turn.
    pub(super) fn begin(request: &mut Request) -> Option<Self> {
        let exchanges = request.conn_data::<Rc<Exchanges>>()?.clone();
        // The parser knows best: a length announces a body, but so do chunks, an upgrade or CONNECT.
        let payload = request.take_payload();
        let has_body = !matches!(payload, Payload::None);
        if has_body {
            *request.payload() = told_at_its_end(payload, exchanges.clone());
        }
        exchanges.deadline.set(None);
        exchanges.body_is_unread.set(has_body);
        exchanges.under_way.set(exchanges.under_way.get() + 1);
        Some(Self(exchanges))
    }

    /// Completes when the client has taken the answers before.
    pub(super) async fn comes(&self) {
        let Self(exchanges) = self;
        poll_fn(|cx| {
            if exchanges.is_unsent.get() {
                exchanges.next.set(Some(cx.waker().clone()));
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Looks whether the answer is the last of the connection.
    pub(super) fn is_answered(&self, headers: &HeaderMap) {
        let closes = headers.get(CONNECTION).is_some_and(|value| value == "close");
        self.0.is_last.set(closes);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

/// Passes the body on, and tells the connection when it has been read.
fn told_at_its_end(mut payload: Payload, exchanges: Rc<Exchanges>) -> Payload {
    let payload = poll_stream(move |cx| {
        let next = payload.poll_next_unpin(cx);
        if let Poll::Ready(None) = next {
            exchanges.body_is_unread.set(false);
        }
        next
    });
    Payload::Stream {
        payload: Box::pin(payload),
    }
}
