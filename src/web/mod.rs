//! Everything that knows HTTP or HTML, and nothing that knows SQL.
//!
//! | room | holds |
//! |---|---|
//! | [`http1`] | from a port to a request: sockets, TLS, deadlines, the threads that serve |
//! | `middleware` | what stands around every request |
//! | [`routes`] | every URL |
//! | [`extract`] | what a handler asks for: who it is, from where, with which body |
//! | [`api`] | handlers that answer programs |
//! | [`pages`] | handlers that answer people |
//! | [`problem`] | every error |
//! | `openapi` | the description of the API |
//! | `static_files` | stylesheets, scripts and images |

pub mod api;
pub mod extract;
pub mod http1;
mod middleware;
mod openapi;
pub mod pages;
pub mod problem;
pub mod routes;
mod static_files;

pub use http1::{RunningServer, Server};
