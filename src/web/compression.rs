//! Compression of answers (RFC 9110 8.4, 12.5.3).
//!
//! Only answers without a secret in them are compressed: with one, their length would tell a guess from the secret (BREACH). No page
//! holds a token, a password or a link.

use std::io::{self, Write};

use actix_web::HttpRequest;
use actix_web::http::header::{AcceptEncoding, ContentEncoding, Encoding, Header};
use flate2::Compression;
use flate2::write::GzEncoder;

/// The best of these encodings that the client takes. `None`: it takes none, and gets the content as it is.
pub(in crate::web) fn chosen(
    request: &HttpRequest,
    there_are: impl Iterator<Item = ContentEncoding>,
) -> Option<ContentEncoding> {
    let accepted = AcceptEncoding::parse(request).ok()?;
    let there_are: Vec<_> = there_are
        .map(Encoding::Known)
        .chain([Encoding::identity()])
        .collect();
    match accepted.negotiate(there_are.iter())? {
        Encoding::Known(ContentEncoding::Identity) | Encoding::Unknown(_) => None,
        Encoding::Known(encoding) => Some(encoding),
    }
}

pub(in crate::web) fn takes_gzip(request: &HttpRequest) -> bool {
    chosen(request, [ContentEncoding::Gzip].into_iter()).is_some()
}

/// Compresses the content of one answer, at a level that is fast and makes it small enough.
pub(in crate::web) fn gzip(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressed = GzEncoder::new(Vec::new(), Compression::default());
    compressed.write_all(content)?;
    compressed.finish()
}
