//! Delivery of mail: takes a row out of the outbox, finds its user, and sends the mail.
//!
//! The token of a link is created here, not at the request. So no token waits in a table, and a link that
//! waited for a mail server still has its whole lifetime.

use std::sync::Arc;

use diesel::prelude::*;
use metrics::counter;
use uuid::Uuid;

use super::metrics::{MAILS, POSTPONED};
use super::{Auth, Error, audit};
use crate::db::PgConnection;
use crate::mail::message::Content;
use crate::mail::outbox::{self, Next, QueuedMail};
use crate::mail::undelivered;
use crate::mail::{Kind, Mailer, Message, NotSent, Site};
use crate::sessions::{Device, feed};
use crate::token::Token;
use crate::users::link::{self, Purpose};
use crate::users::store::{self as users, Credentials};
use crate::users::{User, short_digest};

/// The outcome of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// No mail was due.
    Nothing,
    /// A server accepted the mail.
    Sent,
    /// The mail has no user, or its user has no use for it any more.
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
    /// As [`Auth::deliver_all`].
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
                    let written = write(conn, &claimed, &site)?;
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
        let (user, message) = match written {
            Ok(Ok(written)) => written,
            Ok(Err(OfNoUse(_))) => return Ok(Delivery::Dropped),
            // This mail alone failed: the next one is still sent.
            Err(error) => {
                let QueuedMail { kind, attempts, .. } = mail;
                log::warn!("could not write {kind} (try {attempts}), and will try again: {error}");
                return self.put_back(mail).await;
            }
        };
        let sent = mailer.send(user.email, message).await;
        self.settle(mail, user.id, sent).await
    }

    /// Does with the mail what became of it.
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

    /// Removes a mail that was sent or `refused`, and logs that afterwards: a mail that is still in the
    /// outbox is tried again, and logged then.
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
                    Some(_) if !was_in => 0,
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

/// The reason why a mail has no user, or is of no use to them any more.
#[derive(Clone, Copy, Debug)]
struct OfNoUse(&'static str);

/// Finds the user and writes the message, in a transaction that locks the user's row.
fn write(
    conn: &mut PgConnection,
    mail: &QueuedMail,
    site: &Site,
) -> Result<Result<(User, Message), OfNoUse>, Error> {
    let nobody = || Ok(Err(OfNoUse(NOBODY)));
    let Some(found) = users::find_by_digest(conn, &mail.email_digest)? else {
        return nobody();
    };
    let Some(Credentials { user, password_hash }) = users::lock(conn, found.id)? else {
        return nobody();
    };
    let may_sign_in = user.disabled_at.is_none();
    let url = site.url.as_str();
    let forgot = format!("{url}/forgot");
    let from = mail.ip_address.map_or_else(
        || "an unknown address".to_owned(),
        |network| network.ip().to_string(),
    );
    let with = Device::of(mail.user_agent.as_deref()).to_string();
    let (link, by);
    let content = match mail.kind {
        Kind::Invitation | Kind::Verification | Kind::PasswordReset if !may_sign_in => {
            return Ok(Err(OfNoUse("account is disabled")));
        }
        Kind::Invitation if password_hash.is_none() => {
            link = open(conn, &user, Purpose::Invitation, url, "welcome")?;
            by = inviter(conn, mail)?;
            Content::Invitation {
                by: by.as_deref(),
                link: &link,
            }
        }
        Kind::Verification if !user.email_verified => {
            link = open(conn, &user, Purpose::Verification, url, "verify")?;
            Content::Verification { link: &link }
        }
        Kind::PasswordReset => {
            link = open(conn, &user, Purpose::PasswordReset, url, "reset")?;
            Content::PasswordReset { link: &link }
        }
        Kind::PasswordChanged => Content::PasswordChanged {
            at: mail.happened_at,
            from: &from,
            with: &with,
            forgot: &forgot,
        },
        Kind::NewSignIn => Content::NewSignIn {
            at: mail.happened_at,
            from: &from,
            with: &with,
            forgot: &forgot,
        },
        Kind::Invitation => return Ok(Err(OfNoUse("the user has a password"))),
        Kind::Verification => return Ok(Err(OfNoUse("the address is verified"))),
    };
    let message = Message::new(site, &user.name, &content)
        .map_err(|error| Error::Unavailable(format!("a mail cannot be written: {error}")))?;
    Ok(Ok((user, message)))
}

/// The name of the admin who invites, while the account is there.
fn inviter(conn: &mut PgConnection, mail: &QueuedMail) -> QueryResult<Option<String>> {
    let by = mail
        .invited_by
        .map(|id| users::find_by_id(conn, id))
        .transpose()?;
    Ok(by.flatten().map(|user| user.name))
}

/// Creates a link. Its token is in the fragment, which browsers never send: it reaches no log and no other
/// site.
fn open(
    conn: &mut PgConnection,
    user: &User,
    purpose: Purpose,
    public_url: &str,
    page: &str,
) -> Result<String, Error> {
    let token = Token::generate()?;
    link::open(conn, user, purpose, &token.digest())?;
    Ok(format!("{public_url}/{page}#{}", token.reveal()))
}
