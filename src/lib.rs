//! oneseat: one user, one seat.
//!
//! Signing in takes the seat; whoever held it is signed out at once.
//!
//! | to read about | open |
//! |---|---|
//! | flags, environment, defaults | [`config`] |
//! | what an operator types | [`cli`] |
//! | how the program is put together | [`app`] |
//! | every URL | [`web::routes`] |
//! | who a request comes from | [`web::extract`] |
//! | how errors look in HTTP | [`web::problem`] |
//! | taking the seat | [`auth::sign_in`] |
//! | whose token is this? | [`auth::validator`] |
//! | the way back in: links by mail | [`auth::recovery`] |
//! | accounts, passwords, lockout, one-time links | [`users`] |
//! | the one-seat table | [`sessions`] |
//! | what is mailed, and who carries it | [`mail`] |
//! | tokens and their digests | [`token`] |
//! | the pool, migrations, the private PostgreSQL | [`db`] |
//! | threads behind a bounded queue | [`worker_pool`] |
//! | a queue that origins share fairly | [`fair_queue`], [`network`] |
//! | background work | [`app::background`] |
//! | what other programs say, fit for the log | [`redaction`] |
//! | which request a line of the log tells of | [`request_id`] |
//! | what strangers can write into the log | [`log_limit`] |
//! | characters that nobody sees | `unseen` |
//!
//! Arrows run down only: `main -> cli -> app -> web -> auth -> {users, sessions, mail} -> db`, and `config`, `worker_pool`,
//! `fair_queue` and `log_limit` over `network`, `redaction`, `request_id`, `token`, `unseen` and `words` are leaves. `users`, `sessions` and `mail` never
//! name each other; nothing below `web` names actix-web (the
//! background actor names `actix`); `web` holds no SQL.

pub mod app;
pub mod auth;
#[cfg(test)]
mod captured_log;
pub mod cli;
pub mod config;
pub mod db;
pub mod fair_queue;
pub mod log_limit;
pub mod mail;
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
