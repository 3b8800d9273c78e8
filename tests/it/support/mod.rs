//! What the tests stand on.

mod app;
mod browser;
mod client;
mod database;
mod events;
mod mail;
mod program;

pub use app::{App, PASSWORD};
pub use browser::Browser;
pub use client::{Answer, Client};
pub use database::{Database, sql};
pub use events::EventStream;
pub use mail::{Mail, MailServer};
pub use program::{Program, oneseat};

use std::time::{Duration, Instant};

/// Asks again and again until the answer is yes; fails with `what` when it is not within ten seconds.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so().await {
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
