//! A connection that a client cannot hold open by doing nothing.
//!
//! The HTTP parser bounds the first head on a connection and the pause between requests. This module bounds
//! the rest: a later head that comes slowly, a body that is not read, whether it comes or not, and a client
//! that does not take its answer.
//!
//! Requests may come in a row without waiting for answers (RFC 9112 9.3.2). Each begins only when the client
//! has taken the answers before it. Few are read ahead: otherwise a client that takes no answers could have
//! any number of them kept.
//!
//! An answer may take long, as an event stream does. A client that begins its next request meanwhile is cut
//! off if its turn does not come within the time for a head: it would fill a buffer that nobody empties.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_http::Extensions;
use actix_web::HttpMessage;
use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::CONNECTION;
use actix_web::middleware::Next;
use futures_util::StreamExt;
use futures_util::stream::poll_fn as poll_stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::connection_limit::Place;

/// Longest time from the first byte of a request to the end of its head.
pub(in crate::web) const SLOWEST_HEAD: Duration = Duration::from_secs(5);
/// What the parser leaves to this module is cut off without an answer. Where both watch, this lets the
/// parser's `408` come first.
const AFTER_THE_PARSER: Duration = Duration::from_secs(1);
/// How long an idle connection is kept.
pub(in crate::web) const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a connection that is to be closed may stay open for what is still under way.
const LINGER: Duration = Duration::from_secs(2);
/// How long to wait after an answer to a request whose body was not read: the rest may be announced and never
/// come.
const UNREAD_BODY: Duration = Duration::from_secs(5);
/// Most bytes given to the parser at a time, and of later requests while one is under way. The parser takes
/// in every request that it is given, and a request of eighteen bytes takes two kilobytes to keep.
const AHEAD: usize = 2 * 1_024;
/// Longest time in which a client may take nothing of its answer.
const SLOWEST_READER: Duration = Duration::from_secs(20);

/// A byte stream that a client cannot hold open by doing nothing.
pub(in crate::web) struct Connection<Io> {
    io: Io,
    /// Given back when the connection is closed.
    _place: Place,
    exchanges: Rc<Exchanges>,
    writing: Deadline,
}

/// What a connection is doing. The stream reports bytes, and the middleware reports requests.
#[derive(Default)]
pub(in crate::web) struct Exchanges {
    /// When a head that has begun must be complete.
    head: Cell<Option<Instant>>,
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
    fn bytes_came(&self) {
        if self.under_way.get() > 0 {
            self.more_came.set(true);
        } else if self.head.get().is_none() {
            self.head
                .set(Some(Instant::now() + SLOWEST_HEAD + AFTER_THE_PARSER));
        }
    }

    fn request_began(&self, has_body: bool) {
        self.head.set(None);
        self.body_is_unread.set(has_body);
        self.under_way.set(self.under_way.get() + 1);
    }

    /// Completes when the client has taken the answers before.
    fn poll_sent(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_unsent.get() {
            self.next.set(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn all_is_sent(&self) {
        self.is_unsent.set(false);
        if let Some(next) = self.next.take() {
            next.wake();
        }
    }

    /// Completes when the parser can take more bytes.
    fn poll_ahead(&self, cx: &Context<'_>) -> Poll<()> {
        if self.ahead.get() < AHEAD {
            return Poll::Ready(());
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

    fn request_ended(&self) {
        self.is_unsent.set(true);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        self.under_way.set(self.under_way.get() - 1);
        let more_came = self.more_came.take();
        if self.is_last.get() {
            // The rest of a refused body is taken in for a moment, so that the client gets to read why.
            self.head.set(Some(Instant::now() + LINGER));
        } else if self.body_is_unread.get() {
            self.head.set(Some(Instant::now() + UNREAD_BODY));
        } else if more_came {
            // It may have been the body; then this is only the pause before the next request.
            self.head.set(Some(Instant::now() + KEEP_ALIVE));
        }
    }
}

/// A timer that looks at its deadline again when it rings, because resetting it for each request costs too
/// much.
#[derive(Default)]
struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    /// Completes when the deadline is over; without one, never.
    fn poll(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline else {
            return Poll::Pending;
        };
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

impl<Io> Connection<Io> {
    pub(in crate::web) fn new(io: Io, place: Place) -> Self {
        Self {
            io,
            _place: place,
            exchanges: Rc::default(),
            writing: Deadline::default(),
        }
    }

    /// Completes when the client has taken too long. Poll it after what uses the connection and in the same
    /// task, because deadlines change there.
    pub(in crate::web) fn overdue(&self) -> impl Future<Output = ()> + use<Io> {
        let (exchanges, mut deadline) = (self.exchanges.clone(), Deadline::default());
        poll_fn(move |cx| deadline.poll(cx, exchanges.head.get()))
    }

    /// Adds the exchanges to each request, for [`track_exchanges`].
    pub(in crate::web) fn attach(&self, with_each_request: &mut Extensions) {
        with_each_request.insert(self.exchanges.clone());
    }
}

impl<Io: Unpin> Connection<Io> {
    /// Does a write now, or fails once the client has taken nothing for too long.
    fn poll_io<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut Io>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(done) = write(Pin::new(&mut self.io), cx) {
            self.writing = Deadline::default();
            return Poll::Ready(done);
        }
        let deadline = match &self.writing.0 {
            Some(timer) => timer.deadline(),
            None => Instant::now() + SLOWEST_READER,
        };
        ready!(self.writing.poll(cx, Some(deadline)));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Connection<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let exchanges = &this.exchanges;
        ready!(exchanges.poll_ahead(cx));
        let room = buf.remaining().min(AHEAD - exchanges.ahead.get());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        let read = Pin::new(&mut this.io).poll_read(cx, &mut part);
        let came = part.filled().len();
        if came > 0 {
            buf.advance(came);
            exchanges.ahead.set(exchanges.ahead.get() + came);
            exchanges.bytes_came();
        } else if read.is_pending() && exchanges.under_way.get() == 0 {
            exchanges.ahead.set(0);
        }
        read
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Connection<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_io(cx, |io, cx| io.poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = ready!(self.poll_io(cx, AsyncWrite::poll_flush));
        self.exchanges.all_is_sent();
        Poll::Ready(done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_io(cx, AsyncWrite::poll_shutdown)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(cx, |io, cx| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

/// Tells a connection when a request on it begins and ends.
pub(in crate::web) async fn track_exchanges<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let turn = request.conn_data::<Rc<Exchanges>>().cloned().map(|exchanges| {
        // The parser knows best: a length announces a body, but so do chunks, an upgrade or CONNECT.
        let payload = request.take_payload();
        let has_body = !matches!(payload, Payload::None);
        if has_body {
            request.set_payload(told_at_its_end(payload, exchanges.clone()));
        }
        Turn::begin(exchanges, has_body)
    });
    if let Some(Turn(exchanges)) = &turn {
        poll_fn(|cx| exchanges.poll_sent(cx)).await;
    }
    let answer = next.call(request).await?;
    let closes = answer
        .headers()
        .get(CONNECTION)
        .is_some_and(|value| value == "close");
    if let Some(Turn(exchanges)) = &turn {
        exchanges.is_last.set(closes);
    }
    Ok(answer)
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

/// A request under way. It ends when this is dropped, however the request ends.
struct Turn(Rc<Exchanges>);

impl Turn {
    fn begin(exchanges: Rc<Exchanges>, has_body: bool) -> Self {
        exchanges.request_began(has_body);
        Self(exchanges)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}
