//! Sends what waits in the outbox, round by round.
//!
//! It looks at the clock and not at what is put in: work for an account that exists must not delay the next answer (law 7).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{Actor, Recipient};
use tokio::time::timeout;

use super::actor::{Background, Stop};
use crate::auth::Auth;
use crate::mail::Mailer;

/// How often the outbox is looked into.
const ROUND: Duration = Duration::from_secs(1);

/// A mail under way when the program stops has this long.
const GRACE: Duration = Duration::from_secs(10);

/// The delivery of mails, until it is told to stop.
pub(super) struct MailDelivery {
    actor: Recipient<Stop>,
    is_over: Arc<AtomicBool>,
}

impl MailDelivery {
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

    /// Takes no more mails out, and waits until what became of the one under way is noted. A server that does not answer in time
    /// leaves it to its lease.
    pub(super) async fn stop(self) {
        self.is_over.store(true, Ordering::Relaxed);
        if timeout(GRACE, self.actor.send(Stop)).await.is_err() {
            log::warn!("a mail is still on its way and is left to it; it will be sent again");
        }
    }
}
