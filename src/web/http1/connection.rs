//! A connection that a client cannot hold open by doing nothing.
//!
//! The HTTP parser bounds the first head on a connection and the pause between requests. This module bounds
//! the rest: a later head that comes slowly, a body that is not read, whether it comes or not, and a client
//! that does not take its answer. [`Exchanges`] says what is due when.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_http::Extensions;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::connection_limit::Place;
use super::exchanges::Exchanges;

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
        poll_fn(move |cx| deadline.poll(cx, exchanges.deadline()))
    }

    /// Adds the exchanges to each request, for its [`super::exchanges::Turn`].
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
        let room = ready!(this.exchanges.poll_ahead(cx)).min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        let read = Pin::new(&mut this.io).poll_read(cx, &mut part);
        let came = part.filled().len();
        if came > 0 {
            buf.advance(came);
            this.exchanges.bytes_came(came);
        } else if read.is_pending() {
            this.exchanges.all_is_read();
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
