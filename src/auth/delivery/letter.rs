//! Writes a mail just before it is sent: finds its recipient and its facts.

use diesel::QueryResult;
use uuid::Uuid;

use super::NOBODY;
use crate::auth::Error;
use crate::auth::accounts::email_of;
use crate::db::PgConnection;
use crate::mail::message::Content;
use crate::mail::outbox::QueuedMail;
use crate::mail::{Kind, Message, Site, readdressing};
use crate::sessions::Device;
use crate::token::Token;
use crate::users::link::{self, Purpose};
use crate::users::store::{self as users, Credentials};
use crate::users::{Email, User};

/// A mail that can be sent.
pub(super) struct Letter {
    /// The user that the mail is about.
    pub(super) user: Uuid,
    /// The address of the recipient.
    pub(super) to: String,
    pub(super) message: Message,
}

/// The reason why a mail is dropped: no account has its address, or its user does not need it any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfNoUse(pub(super) &'static str);

/// The facts of a mail about a request, in words.
struct Report {
    from: String,
    with: String,
    forgot: String,
}

impl Report {
    fn of(mail: &QueuedMail, site: &Site) -> Self {
        Self {
            from: mail.ip_address.map_or_else(
                || "an unknown address".to_owned(),
                |network| network.ip().to_string(),
            ),
            with: Device::of(mail.user_agent.as_deref()).to_string(),
            forgot: format!("{}/forgot", site.url),
        }
    }
}

/// Finds the user and writes the message, in a transaction that locks the user's row.
pub(super) fn write(
    conn: &mut PgConnection,
    mail: &QueuedMail,
    site: &Site,
) -> Result<Result<Letter, OfNoUse>, Error> {
    let id = match mail.about {
        Some(user) => Some(user),
        None => users::find_by_digest(conn, &mail.email_digest)?.map(|user| user.id),
    };
    let found = match id {
        Some(id) => users::lock(conn, id)?,
        None => None,
    };
    let Some(Credentials { user, password_hash }) = found else {
        return Ok(Err(OfNoUse(NOBODY)));
    };
    // The address changed before the lock. The caller's `outbox::discard` puts the mail back if the change
    // redirected it to the old address, and deletes it otherwise.
    if mail.about.is_none() && email_of(&user).digest()[..] != mail.email_digest[..] {
        return Ok(Err(OfNoUse(NOBODY)));
    }
    let (url, at) = (site.url.as_str(), mail.happened_at);
    let Report { from, with, forgot } = &Report::of(mail, site);
    let (link, by);
    let content = match mail.kind {
        Kind::EmailChange => return write_to_new_address(conn, mail, &user, site),
        Kind::Invitation | Kind::Verification | Kind::PasswordReset if user.disabled_at.is_some() => {
            return Ok(Err(OfNoUse(DISABLED)));
        }
        Kind::Invitation if password_hash.is_some() => return Ok(Err(OfNoUse("the user has a password"))),
        Kind::Verification if user.email_verified => return Ok(Err(OfNoUse("the address is verified"))),
        Kind::Invitation => {
            link = open(conn, &user, Purpose::Invitation, url, "welcome")?;
            by = inviter(conn, mail)?;
            Content::Invitation {
                by: by.as_deref(),
                link: &link,
            }
        }
        Kind::Verification => {
            link = open(conn, &user, Purpose::Verification, url, "verify")?;
            Content::Verification { link: &link }
        }
        Kind::PasswordReset => {
            link = open(conn, &user, Purpose::PasswordReset, url, "reset")?;
            Content::PasswordReset { link: &link }
        }
        Kind::PasswordChanged => Content::PasswordChanged {
            at,
            from,
            with,
            forgot,
        },
        Kind::NewSignIn => Content::NewSignIn {
            at,
            from,
            with,
            forgot,
        },
        Kind::EmailChangeRequested => Content::EmailChangeRequested {
            at,
            from,
            with,
            forgot,
        },
        Kind::EmailChanged => Content::EmailChanged {
            at,
            // Only a change by a link has a place. One by an operator or admin has none.
            place: mail.ip_address.map(|_| (from.as_str(), with.as_str())),
        },
    };
    let to = mail.address.as_ref().unwrap_or(&user.email);
    finish(site, &user, user.id, to, &content)
}

const DISABLED: &str = "account is disabled";

/// Writes to the address that a user asks for. If another account has the address, only the mail to it says
/// so: the user who asks does not learn it (law 7).
fn write_to_new_address(
    conn: &mut PgConnection,
    mail: &QueuedMail,
    user: &User,
    site: &Site,
) -> Result<Result<Letter, OfNoUse>, Error> {
    let Some(address) = &mail.address else {
        return Ok(Err(OfNoUse(NOBODY)));
    };
    if user.disabled_at.is_some() {
        return Ok(Err(OfNoUse(DISABLED)));
    }
    // A withdrawal needs the lock on the user's row, too, so none can come in between.
    let token = Token::generate()?;
    if !readdressing::is_there(conn, mail.id)? || !link::open_change(conn, user.id, address, &token.digest())?
    {
        return Ok(Err(OfNoUse("the change of address was withdrawn")));
    }
    match users::find(conn, &Email::stored(address))? {
        // A disabled holder gets this mail, too. A mail that failed would tell the user who asks that nobody
        // uses the address.
        Some(holder) => finish(site, &holder, user.id, address, &Content::EmailTaken),
        None => {
            let link = format!("{}/email#{}", site.url, token.reveal());
            finish(
                site,
                user,
                user.id,
                address,
                &Content::EmailChange { link: &link },
            )
        }
    }
}

/// Renders the message. It greets the user `named`.
fn finish(
    site: &Site,
    named: &User,
    about: Uuid,
    to: &str,
    content: &Content<'_>,
) -> Result<Result<Letter, OfNoUse>, Error> {
    let message = Message::new(site, &named.name, content)
        .map_err(|error| Error::Unavailable(format!("a mail cannot be written: {error}")))?;
    Ok(Ok(Letter {
        user: about,
        to: to.to_owned(),
        message,
    }))
}

/// The name of the admin who sent the invitation, if the account still exists.
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
