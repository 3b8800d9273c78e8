//! Many open event streams.

use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result};

use crate::http::open_stream;
use crate::seed::{Seeded, token};

/// Opens a stream for each of this many sessions; they stay open until the values are dropped. Later data of the server
/// waits in the kernel, which has room for hours of it.
pub fn open(address: SocketAddr, seeded: &Seeded, count: u64) -> Result<Vec<TcpStream>> {
    let spacing = seeded.sessions / count;
    (0..count)
        .map(|at| {
            let header = format!("Authorization: Bearer {}", token(1 + at * spacing));
            open_stream(address, "/auth/session/events", &header)
                .with_context(|| format!("stream {at} of {count}"))
        })
        .collect()
}
