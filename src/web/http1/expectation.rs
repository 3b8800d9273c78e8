//! `Expect: 100-continue` (RFC 9110 10.1.1): a client waits with its body until it is asked for it.
//!
//! It is asked when the body begins to be read. An answer before that, such as that the body is too large, is the only one.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use actix_http::{ConnectionType, HttpMessage, Request, Response};
use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::poll_fn as poll_stream;

/// An answer that is being made and needs the body.
struct UnderWay(LocalBoxFuture<'static, Response<BoxBody>>);

/// Begins to answer. Returns a request in place of this one as soon as the body is read, for [`answer_under_way`].
///
/// # Errors
/// The answer, if it needs none of the body.
pub(super) async fn until_body_is_read<F>(
    mut request: Request,
    answer: impl FnOnce(Request) -> F,
) -> Result<Request, Response<BoxBody>>
where
    F: Future<Output = Response<BoxBody>> + 'static,
{
    let is_read = Rc::new(Cell::new(false));
    let payload = request.take_payload();
    let has_body = !matches!(payload, Payload::None);
    if has_body {
        *request.payload() = told_when_read(payload, is_read.clone());
    }
    let mut answer: LocalBoxFuture<'static, Response<BoxBody>> = Box::pin(answer(request));
    let early = poll_fn(|cx| match answer.as_mut().poll(cx) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending if is_read.get() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    });
    match pin!(early).await {
        Some(mut answer) => {
            if has_body {
                // The client may send the body all the same, or not: nobody knows where its next request would begin.
                answer.head_mut().set_connection_type(ConnectionType::Close);
            }
            Err(answer)
        }
        None => {
            let request = Request::new();
            request.extensions_mut().insert(UnderWay(answer));
            Ok(request)
        }
    }
}

/// The answer that [`until_body_is_read`] has begun, if this request is from there.
pub(super) fn answer_under_way(request: &Request) -> Option<LocalBoxFuture<'static, Response<BoxBody>>> {
    let UnderWay(answer) = request.extensions_mut().remove()?;
    Some(answer)
}

/// Passes the body on, and notes that somebody reads it.
fn told_when_read(mut payload: Payload, is_read: Rc<Cell<bool>>) -> Payload {
    let payload = poll_stream(move |cx| {
        is_read.set(true);
        payload.poll_next_unpin(cx)
    });
    Payload::Stream {
        payload: Box::pin(payload),
    }
}
