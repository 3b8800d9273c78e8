//! The JSON API.

pub mod account;
pub mod address;
pub mod admin;
pub mod auth;
pub mod events;
pub mod forward;
pub mod health;
pub(in crate::web) mod identity;
pub mod import;
pub mod introspect;
pub mod metadata;
pub mod users;
pub(crate) mod views;
