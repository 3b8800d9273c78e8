//! Refusals. The first ones of each kind and network have lines of their own, and so has the first of each
//! subject (an address, a session, a user). Repeated ones are counted, and summed up once a minute and at the
//! end in the same words, with a `count`. A line without `count` counts as one, so counts and lines add up to
//! all refusals.

use std::net::IpAddr;
use std::sync::LazyLock;

use chrono::Utc;
use log::kv::Value;
use log::{Level, Record};
use metrics::counter;
use uuid::Uuid;

use super::super::Error;
use super::super::metrics::{CONNECTIONS_REFUSED, SIGN_INS};
use super::{TARGET, agent};
use crate::log_limit::{About, LogLimit, Sum, Verdict};
use crate::mail::Kind as Mail;
use crate::network::network_of;
use crate::sessions::{Ending, Origin};
use crate::users::Email;

static LIMIT: LazyLock<LogLimit<Kind, Subject>> = LazyLock::new(LogLimit::default);

/// The values of the fields named in [`Kind::subject`].
type Subject = Vec<String>;

/// Values are cut to this many bytes.
const LONGEST_VALUE: usize = 200;

/// A kind of line, with its own bound and sums.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    event: &'static str,
    level: Level,
    /// The fields that identify the subject: each combination is counted separately.
    subject: &'static [&'static str],
    reason: Option<String>,
}

impl Kind {
    const fn new(event: &'static str, subject: &'static [&'static str]) -> Self {
        Self {
            event,
            level: Level::Warn,
            subject,
            reason: None,
        }
    }

    fn because(self, reason: &str) -> Self {
        Self {
            reason: Some(reason.to_owned()),
            ..self
        }
    }

    /// Counts one refusal. Returns whether to write a line as well.
    fn is_told_now(&self, origin: Option<&Origin>, subject: &[&str]) -> bool {
        let network = origin.map(|origin| network_of(origin.address()));
        let cut = |value: &&str| value[..value.floor_char_boundary(LONGEST_VALUE)].to_owned();
        let subject = subject.iter().map(cut).collect();
        LIMIT.count(self.clone(), network, subject, Utc::now()) == Verdict::Write
    }
}

/// The purpose of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) enum Attempt {
    /// A sign-in.
    SignIn,
    /// A signed-in user's password change.
    PasswordChange,
}

/// A password was refused. The address is logged as a short digest, never in clear: people type passwords
/// into the wrong field.
pub(in crate::auth) fn password_refused(attempt: Attempt, email: &Email, why: &Error, origin: &Origin) {
    let event = match attempt {
        Attempt::SignIn => {
            counter!(SIGN_INS, "outcome" => "failure").increment(1);
            "authn_login_fail"
        }
        Attempt::PasswordChange => "authn_password_change_fail",
    };
    let reason = match why {
        // The database's words may differ each time, but the reason is one.
        Error::Unavailable(_) => "unavailable".to_owned(),
        why => why.to_string(),
    };
    let name = email.short_digest();
    if Kind::new(event, &["address"])
        .because(&reason)
        .is_told_now(Some(origin), &[&name])
    {
        log::warn!(target: TARGET, address:% = name, reason:% = why, from:% = origin.address(), agent = agent(origin); "{event}");
    }
}

/// A service showed an id and a secret that do not belong together.
pub(in crate::auth) fn client_refused(client: Uuid, origin: &Origin) {
    const KIND: Kind = Kind::new("authn_login_fail", &["client"]);
    if KIND.is_told_now(Some(origin), &[&client.to_string()]) {
        log::warn!(target: TARGET, client:%, from:% = origin.address(), agent = agent(origin); "authn_login_fail");
    }
}

/// A call was refused by a rate limit, before any other check. `what` is its path.
pub(crate) fn too_many_tries(what: &str, origin: &Origin) {
    const KIND: Kind = Kind::new("excess_rate_limit_exceeded", &["what"]);
    if KIND.is_told_now(Some(origin), &[what]) {
        log::warn!(target: TARGET, what, from:% = origin.address(), agent = agent(origin); "excess_rate_limit_exceeded");
    }
}

/// A connection was refused because its network has too many. Only its address is known.
pub(crate) fn connection_refused(from: IpAddr) {
    const KIND: Kind = Kind::new("excess_rate_limit_exceeded", &["what"]);
    const WHAT: &str = "connection";
    counter!(CONNECTIONS_REFUSED).increment(1);
    let from = Origin::new(from, None);
    if KIND.is_told_now(Some(&from), &[WHAT]) {
        log::warn!(target: TARGET, what = WHAT, from:% = from.address(); "excess_rate_limit_exceeded");
    }
}

/// A mail was requested and waits to be sent; whether there is an account is not known here.
pub(in crate::auth) fn link_requested(email: &Email, kind: Mail, origin: &Origin) {
    let wanted = Kind {
        level: Level::Info,
        ..Kind::new("link_requested", &["kind", "address"])
    };
    let name = email.short_digest();
    if wanted.is_told_now(Some(origin), &[kind.as_str(), &name]) {
        log::info!(target: TARGET, kind:%, address:% = name, from:% = origin.address(), agent = agent(origin); "link_requested");
    }
}

/// A mail was requested for an address that has had as many as it gets in an hour.
pub(in crate::auth) fn link_refused(email: &Email, kind: Mail, origin: &Origin) {
    const KIND: Kind = Kind::new("excess_rate_limit_exceeded", &["what", "kind", "address"]);
    let name = email.short_digest();
    if KIND.is_told_now(Some(origin), &["link", kind.as_str(), &name]) {
        log::warn!(target: TARGET, what = "link", kind:%, address:% = name, from:% = origin.address(), agent = agent(origin); "excess_rate_limit_exceeded");
    }
}

/// A requested mail was not sent. `address` is a short digest.
pub(in crate::auth) fn mail_not_sent(kind: &str, address: &str, reason: &'static str) {
    let not_sent = Kind {
        level: Level::Info,
        ..Kind::new("mail_not_sent", &["kind", "address"]).because(reason)
    };
    if not_sent.is_told_now(None, &[kind, address]) {
        log::info!(target: TARGET, kind, address, reason; "mail_not_sent");
    }
}

/// A request had the token of an ended session.
pub fn used_after_end(ending: &Ending, origin: &Origin) {
    const KIND: Kind = Kind::new("session_use_after_expire", &["session", "reason"]);
    let Ending { session, reason, .. } = ending;
    if KIND.is_told_now(Some(origin), &[&session.to_string(), reason.as_str()]) {
        log::warn!(target: TARGET, session:%, reason:%, from:% = origin.address(), agent = agent(origin); "session_use_after_expire");
    }
}

/// A service asked about the token of an ended session: `from` is the service.
pub(in crate::auth) fn shown_after_end(client: Uuid, ending: &Ending, origin: &Origin) {
    const KIND: Kind = Kind::new("session_use_after_expire", &["session", "reason", "client"]);
    let Ending { session, reason, .. } = ending;
    let subject = [&session.to_string(), reason.as_str(), &client.to_string()];
    if KIND.is_told_now(Some(origin), &subject) {
        log::warn!(target: TARGET, session:%, reason:%, client:%, from:% = origin.address(), agent = agent(origin); "session_use_after_expire");
    }
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
    const KIND: Kind = Kind::new("authz_fail", &["user", "resource"]);
    let Resource { path, route } = resource;
    if KIND.is_told_now(Some(origin), &[&user.to_string(), route]) {
        log::warn!(target: TARGET, user:%, resource = path, from:% = origin.address(), agent = agent(origin); "authz_fail");
    }
}

/// A user's request contained a header that only a proxy may set.
pub fn identity_claimed(user: Uuid, header: &str, origin: &Origin) {
    const KIND: Kind = Kind::new("malicious_extraneous", &["user", "header"]);
    if KIND.is_told_now(Some(origin), &[&user.to_string(), header]) {
        log::warn!(target: TARGET, user:%, header, from:% = origin.address(), agent = agent(origin); "malicious_extraneous");
    }
}

/// Writes sums of what was counted since the last call: once a [`crate::log_limit::PERIOD`], and at the end.
pub fn tell_counted() {
    for sum in LIMIT.sums() {
        tell(&sum);
    }
}

fn tell(sum: &Sum<Kind, Subject>) {
    let Kind {
        event,
        level,
        subject,
        reason,
    } = &sum.kind;
    let [first, last] = sum.between();
    let mut words: Vec<(&str, String)> = Vec::new();
    match &sum.about {
        About::One { network, subject: it } => {
            words.extend(subject.iter().copied().zip(it.iter().cloned()));
            words.extend(network.map(|network| ("from", in_words(network))));
        }
        About::Many { distinct, unwritten } => {
            words.push(("distinct", distinct.to_string()));
            words.push(("unwritten", unwritten.to_string()));
        }
    }
    words.extend(reason.clone().map(|reason| ("reason", reason)));
    words.extend([("first", first), ("last", last)]);
    let mut fields = vec![("count", Value::from(sum.count))];
    fields.extend(
        words
            .iter()
            .map(|(name, word)| (*name, Value::from(word.as_str()))),
    );
    if *level <= log::max_level() {
        log::logger().log(
            &Record::builder()
                .level(*level)
                .target(TARGET)
                .key_values(&fields)
                .args(format_args!("{event}"))
                .build(),
        );
    }
}

/// The address of one customer, or the /64 of one customer.
fn in_words(network: IpAddr) -> String {
    match network {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(network) => format!("{network}/64"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::*;
    use crate::captured_log;
    use crate::sessions::EndReason;

    /// The counts are global, so these tests run one at a time.
    static ALONE: Mutex<()> = Mutex::new(());

    fn alone() -> MutexGuard<'static, ()> {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        captured_log::start();
        tell_counted();
        captured_log::lines();
        alone
    }

    #[test]
    fn a_storm_is_a_few_lines_and_a_sum_that_names_what_it_is_about() {
        let _alone = alone();
        let origin = Origin::new("2001:db8::7".parse().unwrap(), None);
        let email: Email = "ada@example.org".parse().unwrap();
        let ending = Ending {
            user: Uuid::new_v4(),
            session: Uuid::nil(),
            reason: EndReason::Replaced,
            at: Utc::now(),
        };
        let storm = || {
            for _ in 0..1_000 {
                password_refused(Attempt::SignIn, &email, &Error::AccountLocked, &origin);
                password_refused(
                    Attempt::SignIn,
                    &email,
                    &Error::Unavailable("5 new words".to_owned()),
                    &origin,
                );
                too_many_tries("/auth/login", &origin);
                client_refused(Uuid::nil(), &origin);
                link_requested(&email, Mail::PasswordReset, &origin);
                link_refused(&email, Mail::PasswordReset, &origin);
                mail_not_sent("password_reset", "5d2c0e", "no account");
                identity_claimed(Uuid::nil(), "remote-user", &origin);
                shown_after_end(Uuid::nil(), &ending, &origin);
            }
        };
        storm();
        let lines = captured_log::lines();
        assert_eq!(lines.len(), 9 * 5, "{lines:#?}");
        tell_counted();
        let sums = captured_log::lines();
        let told = |words: &[&str]| {
            sums.iter()
                .filter(|sum| words.iter().all(|words| sum.contains(words)))
                .count()
        };
        let name = format!("address={}", email.short_digest());
        for words in [
            &[
                "WARN authn_login_fail",
                &name,
                "reason=\"account is locked\"",
                "first=20",
            ][..],
            &["WARN authn_login_fail", &name, "reason=unavailable"],
            &["WARN authn_login_fail", "client=00000000-"],
            &["WARN excess_rate_limit_exceeded", "what=/auth/login"],
            &[
                "WARN excess_rate_limit_exceeded",
                &name,
                "what=link",
                "kind=password_reset",
            ],
            &["INFO link_requested", &name, "kind=password_reset"],
            &[
                "WARN malicious_extraneous",
                "user=00000000-",
                "header=remote-user",
            ],
            &[
                "WARN session_use_after_expire",
                "session=00000000-",
                "reason=replaced",
                "client=00000000-",
            ],
        ] {
            let words = [words, &["count=995", "from=2001:db8::/64", " last=20"]].concat();
            assert_eq!(told(&words), 1, "{words:?} in {sums:#?}");
        }
        assert_eq!(
            told(&["INFO mail_not_sent", "address=5d2c0e", "count=995"]),
            1,
            "{sums:#?}"
        );
        tell_counted();
        assert_eq!(captured_log::lines(), [""; 0]);
    }

    #[test]
    fn every_call_that_a_user_may_not_make_is_in_a_line_however_often_another_was_tried() {
        let _alone = alone();
        let origin = Origin::new("192.0.2.7".parse().unwrap(), None);
        let resource = |route: &str, id: u32| Resource {
            path: route.replace("{id}", &id.to_string()),
            route: route.to_owned(),
        };
        for n in 0..9 {
            forbidden(Uuid::nil(), &resource("/api/admin/sessions", n), &origin);
        }
        for n in 0..9 {
            forbidden(Uuid::nil(), &resource("/api/admin/users/{id}", n), &origin);
        }
        let lines = captured_log::lines();
        assert_eq!(lines.len(), 6, "{lines:#?}");
        assert!(lines[5].contains(" resource=/api/admin/users/0 "), "{lines:#?}");
        tell_counted();
        let sums = captured_log::lines();
        for (resource, count) in [("/api/admin/sessions", 4), ("/api/admin/users/{id}", 8)] {
            let words = [format!(" count={count} "), format!(" resource={resource} ")];
            let is_it = |sum: &&String| words.iter().all(|words| sum.contains(words));
            assert_eq!(sums.iter().filter(is_it).count(), 1, "{words:?} in {sums:#?}");
        }
    }
}
