//! Everything that knows HTTP or HTML, and nothing that knows SQL.
//!
//! | module | holds |
//! |---|---|
//! | [`http1`] | from a port to a request: sockets, TLS, deadlines, the threads that serve |
//! | `middleware` | what every request passes |
//! | [`routes`] | every URL |
//! | `entry` | how a URL is mounted |
//! | [`extract`] | what a handler needs: the caller, the client's address, the body |
//! | [`api`] | handlers for programs |
//! | [`pages`] | handlers for people |
//! | [`problem`] | every error |
//! | `openapi` | the description of the API |
//! | `schemas` | how the types below `web` look in it |
//! | `static_files` | stylesheets, scripts and images |

pub mod api;
mod compression;
mod entry;
pub mod extract;
pub mod http1;
mod middleware;
mod openapi;
pub mod pages;
pub mod problem;
pub mod routes;
mod schemas;
mod site;
mod static_files;
mod stopping;

pub use http1::{RunningServer, Server};
pub use stopping::Stopping;
