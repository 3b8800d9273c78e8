//! Work that is repeated in the background of the servers.

pub(super) mod actor;
mod mail_delivery;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, Recipient};

use crate::auth::page_end::LostPages;
use crate::auth::{Auth, audit};
use crate::log_limit;
use crate::mail::{Mailer, Site};
use actor::{Background, Stop};
use mail_delivery::MailDelivery;

/// Sweeps, writes the sums of the log, ends sessions whose pages are gone, and sends mails if there is a way to.
pub(super) struct BackgroundWork {
    _sweeper: Recipient<Stop>,
    _sums: Recipient<Stop>,
    _page_ender: Option<Recipient<Stop>>,
    delivery: Option<MailDelivery>,
}

impl BackgroundWork {
    /// Starts at once. Mails come from this site.
    pub(super) fn start(
        auth: &Auth,
        sweep_interval: Duration,
        page_grace: Duration,
        mailer: Option<Mailer>,
        site: Site,
    ) -> Self {
        let sweeper = {
            let auth = auth.clone();
            Background::new(sweep_interval, move || sweep(auth.clone()))
        };
        let sums = Background::new(log_limit::PERIOD, || {
            write_sums();
            std::future::ready(())
        });
        Self {
            _sweeper: sweeper.start().recipient(),
            _sums: sums.start().recipient(),
            _page_ender: (!page_grace.is_zero()).then(|| page_ender(auth, page_grace)),
            delivery: mailer.map(|mailer| MailDelivery::start(mailer, site, auth.clone())),
        }
    }

    /// Waits until the result of a mail under way is noted.
    pub(super) async fn stop(self) {
        if let Some(delivery) = self.delivery {
            delivery.stop().await;
        }
    }
}

/// Ends sessions whose pages are gone.
fn page_ender(auth: &Auth, grace: Duration) -> Recipient<Stop> {
    let ender = Rc::new(LostPages::new(auth.clone(), grace));
    let has_failed = Rc::new(Cell::new(false));
    let step = move || {
        let (ender, has_failed) = (ender.clone(), has_failed.clone());
        async move {
            let done = ender.step().await;
            // Log once for each outage, because there are many steps.
            if !has_failed.replace(done.is_err())
                && let Err(error) = done
            {
                log::warn!("sessions whose pages are gone cannot be ended: {error}");
            }
        }
    };
    Background::new(LostPages::interval(grace), step)
        .start()
        .recipient()
}

/// Writes the sums of the events that the log has only counted.
pub fn write_sums() {
    audit::tell_counted();
    log::logger().flush();
}

async fn sweep(auth: Auth) {
    match auth.sweep(|_| ()).await {
        Ok(Some(swept)) if !swept.is_nothing() => log::info!("swept {swept}"),
        Ok(_) => {}
        Err(error) => log::warn!("the sweep stopped: {error}"),
    }
}
