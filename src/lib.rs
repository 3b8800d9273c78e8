//! oneseat: one user, one seat.
//!
//! Signing in takes the seat; whoever held it is signed out at once.
//!
//! | to read about | open |
//! |---|---|
//! | flags, environment, defaults | [`config`] |
//! | what an operator types | [`cli`] |
//! | every URL | [`web::routes`] |
//! | who a request comes from | [`web::extract`] |
//! | how errors look in HTTP | [`web::problem`] |
//! | taking the seat | [`auth::sign_in`] |
//! | whose token is this? | [`auth::validator`] |
//! | accounts, passwords, lockout | [`users`] |
//! | tokens and the one-seat table | [`sessions`] |
//! | the pool, migrations, the private PostgreSQL | [`db`] |
//! | threads behind a bounded queue | [`crew`] |
//!
//! Arrows run down only: `main -> cli -> web -> auth -> {users, sessions} -> db`, and `config` and `crew` are
//! leaves.
//! `users` and `sessions` never name each other; nothing below `web` names actix-web (the sweeper's actor names
//! `actix`); `web` holds no SQL.

pub mod auth;
pub mod cli;
pub mod config;
pub mod crew;
pub mod db;
pub mod sessions;
pub mod users;
pub mod web;
