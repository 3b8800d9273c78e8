//! The JSON API.

pub mod auth;
pub mod health;
mod views;
