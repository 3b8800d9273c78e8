//! Sends the mails in the outbox, round by round.
//!
//! The rounds follow the clock and not new mails: work for an account that exists must not delay the next
//! answer (law 7).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{Actor, Recipient};
use tokio::time::timeout;

use super::actor::{Background, Stop};
use crate::auth::Auth;
use crate::mail::{Mailer, Site};

/// Pause between two rounds.
const ROUND: Duration = Duration::from_secs(1);

/// How long a mail under way may take when the program stops.
const GRACE: Duration = Duration::from_secs(10);

/// The delivery of mails, until it is told to stop.
pub(super) struct MailDelivery {
    actor: Recipient<Stop>,
    is_over: Arc<AtomicBool>,
}

impl MailDelivery {
    pub(super) fn start(mailer: Mailer, site: Site, auth: Auth) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let site = Arc::new(site);
        let rounds = Background::new(ROUND, move || {
            let (auth, mailer, site) = (auth.clone(), mailer.clone(), site.clone());
            let over = over.clone();
            async move {
                let is_over = || over.load(Ordering::Relaxed);
                if let Err(error) = auth.deliver_all(&mailer, &site, is_over).await {
                    log::warn!("the mails in the outbox could not be sent and wait: {error}");
                }
            }
        });
        Self {
            actor: rounds.start().recipient(),
            is_over,
        }
    }

    /// Takes no more mails out, and waits until the result of the one under way is noted. If the mail server
    /// does not answer in time, that mail is left to its lease.
    pub(super) async fn stop(self) {
        self.is_over.store(true, Ordering::Relaxed);
        if timeout(GRACE, self.actor.send(Stop)).await.is_err() {
            log::warn!("a mail is still being sent and is not waited for; it will be sent again");
        }
    }
}
