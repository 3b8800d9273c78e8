//! Sends what waits in the outbox, round by round.
//!
//! Looks for it by the clock and not when something is put in: what is done for an account that is there must not slow the next
//! answer down (law 7).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{Actor, Recipient};
use actix_web::rt::time::timeout;

use super::GRACE_SECONDS;
use crate::auth::Auth;
use crate::background::{Background, Stop};
use crate::mail::Mailer;

/// How often the outbox is looked into.
const ROUND: Duration = Duration::from_secs(1);

/// Somebody who sends, until told to stop.
pub(super) struct Postman {
    actor: Recipient<Stop>,
    is_over: Arc<AtomicBool>,
}

impl Postman {
    /// Begins. `public_url` is where links lead.
    pub(super) fn start(mailer: Mailer, public_url: String, auth: Auth) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let rounds = Background::new(ROUND, move || {
            let (auth, mailer, public_url) = (auth.clone(), mailer.clone(), public_url.clone());
            let over = over.clone();
            async move {
                let is_over = || over.load(Ordering::Relaxed);
                if let Err(error) = auth.deliver_all(&mailer, &public_url, is_over).await {
                    log::warn!("the mails wait: {error}");
                }
            }
        });
        Self {
            actor: rounds.start().recipient(),
            is_over,
        }
    }

    /// Takes no more mails out, and waits until what became of the one under way is noted, but not without end: a server that does not
    /// answer leaves it to its lease.
    pub(super) async fn stop(self) {
        self.is_over.store(true, Ordering::Relaxed);
        let grace = Duration::from_secs(GRACE_SECONDS);
        if timeout(grace, self.actor.send(Stop)).await.is_err() {
            log::warn!("a mail is still on its way and is left to it; it will be sent again");
        }
    }
}
