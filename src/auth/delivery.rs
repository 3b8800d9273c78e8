//! Delivery of mail: takes a row out of the outbox, finds its user, and sends the mail.
//!
//! The token of a link is created here, not at the request. So no token waits in a table, and a link that
//! waited for a mail server still has its whole lifetime.

mod letter;

use std::sync::Arc;

use diesel::prelude::*;
use letter::{Letter, OfNoUse};
use metrics::counter;
use uuid::Uuid;

use super::metrics::{MAILS, POSTPONED};
use super::{Auth, Error, audit};
use crate::db::PgConnection;
use crate::mail::outbox::{self, Next, QueuedMail};
use crate::mail::undelivered;
use crate::mail::{Kind, Mailer, NotSent, Site};
use crate::sessions::feed;
use crate::users::short_digest;
use crate::users::store as users;

/// The outcome of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// No mail was due.
    Nothing,
    /// A server accepted the mail.
    Sent,
    /// No account has its address, or its user does not need the mail any more.
    Dropped,
    /// The mail will be tried again.
    Postponed,
    /// The address does not exist, or the server goes on refusing it.
    GivenUp,
}

impl Auth {
    /// Sends all due mails, one after the other. Checks `is_over` before each one.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the current mail is sent again when its lease ends, perhaps for a second time.
    pub async fn deliver_all(
        &self,
        mailer: &Mailer,
        site: &Arc<Site>,
        is_over: impl Fn() -> bool,
    ) -> Result<(), Error> {
        while !is_over() && self.deliver_next(mailer, site).await? != Delivery::Nothing {}
        Ok(())
    }

    /// Sends the next due mail, in the name of this site.
    ///
    /// # Errors
    /// Those of [`Auth::deliver_all`].
    pub async fn deliver_next(&self, mailer: &Mailer, site: &Arc<Site>) -> Result<Delivery, Error> {
        let Some(mail) = self
            .run(|conn| {
                discard_those_of_nobody(conn)?;
                Ok(outbox::claim(conn)?)
            })
            .await?
        else {
            return Ok(Delivery::Nothing);
        };
        let (claimed, site) = (mail.clone(), site.clone());
        let written = self
            .run(move |conn| {
                let written = conn.transaction::<_, Error, _>(|conn| {
                    let written = letter::write(conn, &claimed, &site)?;
                    if written.is_err() {
                        outbox::discard(conn, &claimed)?;
                    }
                    Ok(written)
                })?;
                if let Err(OfNoUse(why)) = written {
                    audit::mail_not_sent(claimed.kind, &short_digest(&claimed.email_digest), why);
                }
                Ok(written)
            })
            .await;
        let Letter { user, to, message } = match written {
            Ok(Ok(written)) => written,
            Ok(Err(OfNoUse(_))) => return Ok(Delivery::Dropped),
            // This mail alone failed: the next one is still sent.
            Err(error) => {
                let QueuedMail { kind, attempts, .. } = mail;
                log::warn!("could not write {kind} (try {attempts}), and will try again: {error}");
                return self.put_back(mail).await;
            }
        };
        let sent = mailer.send(to, message).await;
        self.settle(mail, user, sent).await
    }

    /// Removes the mail from the outbox or puts it back, depending on the result of sending it.
    async fn settle(
        &self,
        mut mail: QueuedMail,
        user: Uuid,
        sent: Result<(), NotSent>,
    ) -> Result<Delivery, Error> {
        let error = match sent {
            Ok(()) => return self.take_out(mail, user, None).await,
            Err(NotSent::Ever(reason)) => {
                let why = "nobody is at the address";
                return self.take_out(mail, user, Some(Refused { why, reason })).await;
            }
            Err(NotSent::Refused { words, took_another }) => {
                if mail.is_refused_too_often(took_another) {
                    let why = "for hours the server took mail to others and refused the address";
                    let refused = Refused { why, reason: words };
                    return self.take_out(mail, user, Some(refused)).await;
                }
                words
            }
            Err(NotSent::Yet(error)) => error,
        };
        let QueuedMail { kind, attempts, .. } = mail;
        let address = short_digest(&mail.email_digest);
        log::warn!(
            "could not mail {kind} to user {user} at address {address} (try {attempts}), and will try again: {error}"
        );
        mail.last_reason = Some(error);
        self.put_back(mail).await
    }

    /// Removes a mail that was sent or `refused` from the outbox, and logs that afterwards. A mail that stays
    /// in the outbox is tried again, and logged then.
    async fn take_out(
        &self,
        mail: QueuedMail,
        user: Uuid,
        refused: Option<Refused>,
    ) -> Result<Delivery, Error> {
        let kind = mail.kind;
        self.run(move |conn| {
            let was_in = conn.transaction(|conn| {
                let was_in = outbox::remove(conn, mail.id)? > 0;
                let changed = match &refused {
                    None => undelivered::forget(conn, &mail.email_digest)?,
                    Some(_) if !was_in || !is_for_an_account(&mail) => 0,
                    Some(Refused { reason, .. }) => {
                        undelivered::note(conn, &mail.email_digest, kind, reason)?
                    }
                };
                if changed > 0 {
                    feed::tell_lists(conn)?;
                }
                QueryResult::Ok(was_in)
            })?;
            match refused {
                None => {
                    audit::mail_sent(kind, user);
                    return Ok(Delivery::Sent);
                }
                // Another instance has removed the mail after its lease, and logged it.
                Some(_) if !was_in => {}
                Some(Refused { why, reason }) => {
                    let why = format!("{why} of user {user}: {reason}");
                    audit::mail_given_up(kind, mail.id, &short_digest(&mail.email_digest), &why);
                }
            }
            Ok(Delivery::GivenUp)
        })
        .await
        .inspect_err(|error| {
            log::warn!(
                "could not take {kind} to user {user} out of the outbox, and may send it again: {error}"
            );
        })
    }

    async fn put_back(&self, mail: QueuedMail) -> Result<Delivery, Error> {
        counter!(MAILS, "kind" => mail.kind.as_str(), "outcome" => POSTPONED).increment(1);
        self.query(move |conn| outbox::postpone(conn, &mail)).await?;
        Ok(Delivery::Postponed)
    }
}

/// Why a mail is given up: in our words, and in the server's.
struct Refused {
    why: &'static str,
    reason: String,
}

/// Whether the mail goes to an address that an account has, or may get. If not, a failure is not noted: a
/// later user of a former address must not see it.
fn is_for_an_account(mail: &QueuedMail) -> bool {
    mail.about.is_none() || mail.kind == Kind::EmailChange
}

/// Why a mail for an address without an account is not sent.
const NOBODY: &str = "nobody has this address";

/// Removes mails at the front of the queue that strangers requested for unknown addresses: many in one step,
/// because each would otherwise take a turn.
fn discard_those_of_nobody(conn: &mut PgConnection) -> QueryResult<()> {
    const AT_ONCE: i64 = 200;
    loop {
        let front = outbox::front(conn, AT_ONCE)?;
        if !front.first().is_some_and(|next| next.asked) {
            return Ok(());
        }
        let known = users::known(conn, front.iter().map(|next| &next.email_digest[..]))?;
        let is_of_nobody = |next: &&Next| next.asked && !known.contains(&next.email_digest);
        let discarded = outbox::discard_all(conn, front.iter().filter(is_of_nobody))?;
        for mail in &discarded {
            audit::mail_not_sent(mail.kind, &short_digest(&mail.email_digest), NOBODY);
        }
        if discarded.is_empty() {
            return Ok(());
        }
    }
}
