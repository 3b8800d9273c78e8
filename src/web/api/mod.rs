//! The JSON API.

pub mod admin;
pub mod auth;
pub mod events;
pub mod health;
mod views;
