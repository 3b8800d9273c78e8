//! oneseat: one user, one seat.
//!
//! Signing in takes the seat: an older session of the same user ends at once.
//!
//! | to read about | open |
//! |---|---|
//! | flags, environment, defaults | [`config`] |
//! | the command line | [`cli`] |
//! | how the program is put together | [`app`] |
//! | every URL | [`web::routes`] |
//! | the client of a request | [`web::extract`] |
//! | how errors look in HTTP | [`web::problem`] |
//! | taking the seat | [`auth::sign_in`] |
//! | checking a token | [`auth::validator`] |
//! | forgotten passwords, links by mail | [`auth::recovery`] |
//! | accounts, passwords, lockout, one-time links | [`users`] |
//! | the one-seat table | [`sessions`] |
//! | the mail queue, messages, the mail server | [`mail`] |
//! | what an instance remembers, and the feed that makes it forget | [`sessions::memory`], [`sessions::feed`] |
//! | tokens and their digests | [`token`] |
//! | the pool, migrations, the private PostgreSQL | [`db`] |
//! | threads behind a bounded queue | [`worker_pool`] |
//! | a queue that origins share fairly | [`fair_queue`], [`network`] |
//! | background work | [`app::background`] |
//! | other programs' words, made fit for the log | [`redaction`] |
//! | the request that a log line is about | [`request_id`] |
//! | limits for log lines that strangers cause | [`log_limit`] |
//! | one record of the log as one line | `log_line` |
//! | characters that nobody sees | `unseen` |
//!
//! Dependencies point down only: `main -> cli -> app -> web -> auth -> {users, sessions, mail} -> db`, and
//! `config`, `worker_pool`, `fair_queue`, `log_limit` over `network`, `log_line` over `request_id`,
//! `redaction`, `token`, `unseen` and `words` are leaves. `users`, `sessions` and `mail` never name each
//! other; nothing below `web` names actix-web (the background actor names `actix`); `web` contains no SQL.

pub mod app;
pub mod auth;
#[cfg(test)]
mod captured_log;
pub mod cli;
pub mod config;
pub mod db;
pub mod fair_queue;
pub mod log_limit;
mod log_line;
pub mod mail;
pub mod moment;
pub mod network;
pub mod redaction;
pub mod request_id;
pub mod sessions;
pub mod token;
mod unseen;
pub mod users;
pub mod web;
mod words;
pub mod worker_pool;
