//! Refusals. The first ones of each kind and network have lines of their own, and so has the first of each
//! subject (an address, a session, a user). Repeated ones are counted. Once a minute and at shutdown, a line
//! in the same words with a `count` sums them up. A line without `count` counts as one, so counts and lines
//! add up to all refusals.

use std::net::IpAddr;
use std::sync::LazyLock;

use chrono::Utc;
use uuid::Uuid;

use super::super::Error;
use super::event::{Event, Field};
use crate::log_limit::{About, LogLimit, Sum, Verdict};
use crate::mail::Kind as Mail;
use crate::network::network_of;
use crate::sessions::{Ending, Origin};
use crate::users::Email;

static LIMIT: LazyLock<LogLimit<Kind, Subject>> = LazyLock::new(LogLimit::default);

/// The unit that is limited and summed up: an event, with its reason if it can have several.
type Kind = (Event, Option<String>);

/// The fields that a search of the log needs. Each combination of values is counted separately.
type Subject = Vec<(&'static str, String)>;

/// Values are cut to this many bytes.
const LONGEST_VALUE: usize = 200;

/// Counts a refusal. Returns whether to write a line as well.
fn is_told_now(event: Event, reason: Option<&str>, origin: Option<&Origin>, subject: &[Field<'_>]) -> bool {
    event.count(subject);
    let network = origin.map(|origin| network_of(origin.address()));
    let cut = |(name, value): &Field<'_>| {
        let mut value = value.to_string();
        value.truncate(value.floor_char_boundary(LONGEST_VALUE));
        (*name, value)
    };
    let subject = subject.iter().map(cut).collect();
    LIMIT.count((event, reason.map(str::to_owned)), network, subject, Utc::now()) == Verdict::Write
}

/// Counts a refusal, and writes its line if it has one. The line names the subject.
fn refuse(event: Event, origin: &Origin, subject: &[Field<'_>]) {
    if is_told_now(event, None, Some(origin), subject) {
        event.write(None, Some(origin), subject);
    }
}

/// The purpose of a password check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) enum Attempt {
    /// A sign-in.
    SignIn,
    /// A signed-in user's change of the password or of the address, which needs the current password.
    PasswordChange,
}

/// A password was refused. The address is logged as a short digest, never in clear: people type passwords
/// into the wrong field.
pub(in crate::auth) fn password_refused(attempt: Attempt, email: &Email, why: &Error, origin: &Origin) {
    let event = match (attempt, why) {
        (Attempt::SignIn, Error::SeatTaken(_)) => Event::TakeoverAsked,
        (Attempt::SignIn, _) => Event::SignInRefused,
        (Attempt::PasswordChange, _) => Event::PasswordChangeRefused,
    };
    let reason = match why {
        // The database's message may differ each time, but the reason is the same.
        Error::Unavailable(_) => "unavailable".to_owned(),
        why => why.to_string(),
    };
    let address = ("address", &email.short_digest() as _);
    if is_told_now(event, Some(&reason), Some(origin), &[address]) {
        event.write(None, Some(origin), &[address, ("reason", why)]);
    }
}

/// A service showed an id and a secret that do not belong together.
pub(in crate::auth) fn client_refused(client: Uuid, origin: &Origin) {
    refuse(Event::ClientRefused, origin, &[("client", &client)]);
}

/// A call was refused by a rate limit, before any other check. `what` is its path.
pub(crate) fn too_many_tries(what: &str, origin: &Origin) {
    refuse(Event::TooManyTries, origin, &[("what", &what)]);
}

/// A connection was refused because its network has too many. Only its address is known.
pub(crate) fn connection_refused(from: IpAddr) {
    let (event, what) = (Event::ConnectionRefused, ("what", &"connection" as _));
    if is_told_now(event, None, Some(&Origin::new(from, None)), &[what]) {
        event.write(None, None, &[what, ("from", &from)]);
    }
}

/// A mail was requested and waits to be sent; whether there is an account is not known here.
pub(in crate::auth) fn link_requested(email: &Email, kind: Mail, origin: &Origin) {
    let address = email.short_digest();
    let subject: [Field<'_>; 2] = [("kind", &kind), ("address", &address)];
    refuse(Event::LinkRequested, origin, &subject);
}

/// A mail was requested for an address that has reached its hourly limit of mails.
pub(in crate::auth) fn link_refused(email: &Email, kind: Mail, origin: &Origin) {
    let address = email.short_digest();
    let subject: [Field<'_>; 3] = [("what", &"link"), ("kind", &kind), ("address", &address)];
    refuse(Event::LinkRefused, origin, &subject);
}

/// A requested mail was not sent. `address` is a short digest.
pub(in crate::auth) fn mail_not_sent(kind: Mail, address: &str, reason: &'static str) {
    let (event, subject): (_, [Field<'_>; 2]) =
        (Event::MailNotSent, [("kind", &kind), ("address", &address)]);
    if is_told_now(event, Some(reason), None, &subject) {
        event.write(None, None, &[&subject[..], &[("reason", &reason)]].concat());
    }
}

/// A request had the token of an ended session.
pub fn used_after_end(ending: &Ending, origin: &Origin) {
    let subject: [Field<'_>; 2] = [("session", &ending.session), ("reason", &ending.reason)];
    refuse(Event::UsedAfterEnd, origin, &subject);
}

/// A service asked about the token of an ended session: `from` is the service.
pub(in crate::auth) fn shown_after_end(client: Uuid, ending: &Ending, origin: &Origin) {
    let Ending { session, reason, .. } = ending;
    let subject: [Field<'_>; 3] = [("session", session), ("reason", reason), ("client", &client)];
    refuse(Event::ShownAfterEnd, origin, &subject);
}

/// The target of a request.
#[derive(Clone, Debug, Default)]
pub struct Resource {
    /// The path of the request. Lines name it.
    pub path: String,
    /// The pattern of its route. Sums name it, because a path may hold anything.
    pub route: String,
}

/// A user made a request that only admins may make.
pub fn forbidden(user: Uuid, resource: &Resource, origin: &Origin) {
    let (event, user) = (Event::Forbidden, ("user", &user as _));
    if is_told_now(event, None, Some(origin), &[user, ("resource", &resource.route)]) {
        event.write(None, Some(origin), &[user, ("resource", &resource.path)]);
    }
}

/// A user's request contained a header that only a proxy may set.
pub fn identity_claimed(user: Uuid, header: &str, origin: &Origin) {
    refuse(
        Event::IdentityClaimed,
        origin,
        &[("user", &user), ("header", &header)],
    );
}

/// Writes sums of what was counted since the last call: once a [`crate::log_limit::PERIOD`], and at shutdown.
pub fn tell_counted() {
    for sum in LIMIT.sums() {
        tell(&sum);
    }
}

fn tell(sum: &Sum<Kind, Subject>) {
    let (event, reason) = &sum.kind;
    let [first, last] = sum.between();
    let mut fields: Vec<Field<'_>> = Vec::new();
    let from;
    match &sum.about {
        About::One { network, subject } => {
            fields.extend(subject.iter().map(|(name, value)| (*name, value as _)));
            from = network.map(in_words);
            fields.extend(from.iter().map(|from| ("from", from as _)));
        }
        About::Many { distinct, unwritten } => {
            fields.extend([("distinct", distinct as _), ("unwritten", unwritten as _)]);
        }
    }
    fields.extend(reason.iter().map(|reason| ("reason", reason as _)));
    fields.extend([("first", &first as _), ("last", &last as _)]);
    event.write(Some(sum.count), None, &fields);
}

/// The network of one customer in words: an IPv4 address, or an IPv6 /64.
fn in_words(network: IpAddr) -> String {
    match network {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(network) => format!("{network}/64"),
    }
}

#[cfg(test)]
mod tests;
