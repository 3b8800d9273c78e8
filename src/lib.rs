//! oneseat: one user, one seat.
//!
//! Signing in takes the seat: an older session of the same user ends at once. PostgreSQL holds the rule, a
//! constraint of the table `sessions`; everything here is about asking it, and about telling people.
//!
//! # Chapters
//!
//! In the order in which a request passes through them, from the command line down to the tables.
//! `docs/architecture.md` has the plan, and four walks along this way.
//!
//! | chapter | is about |
//! |---|---|
//! | [`cli`] | what an operator types |
//! | [`config`] | flags, environment, defaults |
//! | [`app`] | how the program is put together, and its background work ([`app::background`]) |
//! | [`web`] | HTTP: every URL ([`web::routes`]), the client of a request ([`web::extract`]), how errors look ([`web::problem`]) |
//! | [`auth`] | the use cases: taking the seat ([`auth::sign_in`]), checking a token ([`auth::validator`]), giving the seat up ([`auth::endings`]), links by mail ([`auth::recovery`]) |
//! | [`users`] | accounts, passwords, lockout, one-time links |
//! | [`sessions`] | the one-seat table, what an instance remembers of it ([`sessions::memory`]), and the feed that makes it forget ([`sessions::feed`]) |
//! | [`mail`] | the outbox, messages, the mail server |
//! | [`db`] | the pool, migrations, the private PostgreSQL |
//!
//! # Leaves
//!
//! Small things that any chapter may use.
//!
//! | leaf | is |
//! |---|---|
//! | [`token`] | tokens and their digests |
//! | [`moment`] | a time by both clocks of the machine |
//! | [`worker_pool`] | threads behind a bounded queue |
//! | [`fair_queue`], [`network`] | a queue that origins share fairly, and what counts as one origin |
//! | [`request_id`] | the request that a log line is about |
//! | [`log_limit`] | limits for log lines that strangers cause |
//! | `log_line` | one record of the log as one line |
//! | [`redaction`] | other programs' words, made fit for the log |
//! | `words` | closed sets of words |
//! | `domain_name` | the spelling of a domain for programs, and the one for people |
//! | `shown` | words that people wrote, as templates show them |
//! | `unseen` | characters that nobody sees |
//!
//! # Directions
//!
//! Dependencies point down only: `main -> cli -> app -> web -> auth -> {users, sessions, mail} -> db`. A chapter
//! may be left out where it has nothing to add. `users`, `sessions` and `mail` never name each other; nothing
//! below `web` names actix-web; `web` contains no SQL.

pub mod app;
pub mod auth;
#[cfg(test)]
mod captured_log;
pub mod cli;
pub mod config;
pub mod db;
mod domain_name;
pub mod fair_queue;
pub mod log_limit;
mod log_line;
pub mod mail;
pub mod moment;
pub mod network;
pub mod redaction;
pub mod request_id;
pub mod sessions;
mod shown;
pub mod token;
mod unseen;
pub mod users;
pub mod web;
mod words;
pub mod worker_pool;
