//! From a port to a request: sockets, TLS, deadlines, HTTP/1.1, and the threads that serve.
//!
//! [`Server::bind`] takes a port and [`Server::start`] answers on it. The parser and the dispatcher are
//! actix-http's, the accept loop and the worker threads actix-server's. This module relies on how actix-http
//! 3.20 and actix-server 2.10 work:
//!
//! - the parser answers a first head that does not come in time with 408 and closes; it sets no deadline for
//!   later heads, bodies and answers, so `connection` does;
//! - the dispatcher takes the next piece of an answer only when less than `h1_write_buffer_size` bytes wait
//!   to be sent, and copies a piece whole, so `sliced` makes long answers into pieces;
//! - the dispatcher parses further requests while one is being answered, as far as bytes are there, so
//!   `exchanges` gives it few at a time;
//! - the dispatcher sends `100 Continue` when the service for expectations returns, so `expectation` does so when
//!   the body is read;
//! - a worker at `max_concurrent_connections` stops accepting for all, so further ones wait in the kernel;
//! - a worker that dies is replaced when a connection is to go to it, and the server goes on without it if
//!   that fails, so `supervisor` counts them.

mod application;
mod connection;
mod connection_limit;
mod exchanges;
mod expectation;
mod self_check;
mod server;
mod service;
mod sliced;
mod supervisor;
mod tls;

pub(crate) use self_check::SelfCheck;
pub(crate) use server::listen_on;
pub use server::{RunningServer, Server};
pub(crate) use supervisor::{Running, Workers};
