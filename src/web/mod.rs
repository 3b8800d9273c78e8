//! Everything that knows HTTP or HTML, and nothing that knows SQL.

pub mod api;
pub mod body;
pub mod client;
mod connection;
mod connection_limit;
mod cross_origin;
pub mod extract;
mod identity;
mod openapi;
pub mod pages;
mod panics;
pub mod problem;
mod proxy_check;
pub mod rate;
mod request_id;
mod request_metrics;
pub mod routes;
mod schemas;
mod security_headers;
mod self_check;
mod server;
mod service;
mod sliced;
mod static_files;
mod stopping;
mod supervisor;
mod tls;

pub(crate) use self_check::SelfCheck;
pub(crate) use server::listen_on;
pub use server::{RunningServer, Server};
pub(crate) use supervisor::{Running, Workers};
