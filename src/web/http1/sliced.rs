//! Sends long answers in small pieces.
//!
//! The HTTP server copies a piece of an answer into the connection's buffer before it is sent, and takes the
//! next piece when the client has taken that one. An answer in one piece would be copied whole for each
//! client, even for one that never reads it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;

/// The longest piece, in bytes.
pub(super) const PIECE: usize = 16 * 1_024;

/// The rest of an answer.
struct Sliced(Bytes);

/// Cuts a long answer into pieces.
pub(super) fn sliced(body: BoxBody) -> BoxBody {
    match body.try_into_bytes() {
        Ok(bytes) if bytes.len() > PIECE => BoxBody::new(Sliced(bytes)),
        Ok(bytes) => BoxBody::new(bytes),
        // The body already comes in pieces.
        Err(body) => body,
    }
}

impl MessageBody for Sliced {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let length = self.0.len().min(PIECE);
        Poll::Ready((length > 0).then(|| Ok(self.0.split_to(length))))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    #[actix_web::test]
    async fn an_answer_in_pieces_is_the_whole_answer() {
        for length in [0, 1, PIECE, PIECE + 1, 3 * PIECE, 100_001] {
            let whole: Bytes = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let body = sliced(BoxBody::new(whole.clone()));
            assert_eq!(body.size(), BodySize::Sized(length as u64));
            assert_eq!(to_bytes(body).await.unwrap(), whole);
        }
    }
}
