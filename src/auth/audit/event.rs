//! The events of the security log. To add one, add a line to [`Event`].

use std::fmt::Display;

use log::kv::Value;
use log::{Level, Record};
use metrics::{Label, counter};

use super::{EXPIRED, TARGET};
use crate::auth::metrics::{CONNECTIONS_REFUSED, ENDED, MAILS, SIGN_INS};
use crate::mail::Kind;
use crate::sessions::{EndReason, Origin};

/// A field of a line: its name and its value.
pub(super) type Field<'a> = (&'static str, &'a dyn Display);

/// The properties of an event, from its line in [`Event`].
struct Definition {
    level: Level,
    /// The first word of the line.
    word: &'static str,
    /// The metric that counts it, if there is one.
    metric: &'static [Metric],
}

struct Metric {
    name: &'static str,
    /// The fields of the event that are labels of the metric.
    by: &'static [&'static str],
    /// Its other labels.
    labels: &'static [(&'static str, &'static str)],
}

/// Makes the enum from one line for each event: its level, its word, and the metric that counts it, if any.
/// `by` names the field of the event that is a label of the metric; `outcome` is a label with a fixed value.
macro_rules! events {
    ($(
        $(#[$about:meta])*
        $event:ident = $level:ident $word:literal
            $(counts $metric:ident $(by $field:literal)? $(outcome $outcome:literal)?)?,
    )+) => {
        /// The events of the security log. Their words are those of the OWASP Logging Vocabulary where it has
        /// one. Events with the same word have different fields.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(in crate::auth) enum Event {
            $( $(#[$about])* $event, )+
        }

        impl Event {
            const ALL: &[Self] = &[$(Self::$event),+];

            const fn definition(self) -> Definition {
                match self {
                    $( Self::$event => Definition {
                        level: Level::$level,
                        word: $word,
                        metric: &[$(Metric {
                            name: $metric,
                            by: &[$($field)?],
                            labels: &[$(("outcome", $outcome))?],
                        })?],
                    }, )+
                }
            }
        }
    };
}

events! {
    /// A user signed in.
    SignedIn = Info "authn_login_success" counts SIGN_INS outcome "success",
    /// A sign-in was refused.
    SignInRefused = Warn "authn_login_fail" counts SIGN_INS outcome "failure",
    /// The password was right, and the server asked before it would replace the user's live session.
    TakeoverAsked = Info "takeover_asked" counts SIGN_INS outcome "asked",
    /// A service showed an id and a secret that do not belong together.
    ClientRefused = Warn "authn_login_fail",
    /// Wrong passwords locked an address.
    Locked = Warn "authn_login_lock",
    /// An operator or admin lifted the lock.
    Unlocked = Info "authn_login_unlock",
    /// A user has a new password.
    PasswordChanged = Info "authn_password_change",
    /// A signed-in user gave a wrong current password for a change of the password or of the address.
    PasswordChangeRefused = Warn "authn_password_change_fail",
    /// A session began.
    SessionCreated = Info "session_created",
    /// Somebody ended a session.
    SessionEnded = Info "session_ended" counts ENDED by "reason",
    /// A session expired.
    SessionExpired = Info "session_ended" counts ENDED by "reason",
    /// A backup was put back, and the sessions that it brought back were ended.
    BackupRestored = Warn "backup_restored",
    /// A request had the token of an ended session.
    UsedAfterEnd = Warn "session_use_after_expire",
    /// A service asked about the token of an ended session.
    ShownAfterEnd = Warn "session_use_after_expire",
    /// A user asked for what admins may do.
    Forbidden = Warn "authz_fail",
    /// A request contained a header that only a proxy may set.
    IdentityClaimed = Warn "malicious_extraneous",
    /// A network made too many tries.
    TooManyTries = Warn "excess_rate_limit_exceeded",
    /// A network has too many connections.
    ConnectionRefused = Warn "excess_rate_limit_exceeded" counts CONNECTIONS_REFUSED,
    /// An address has reached its hourly limit of mails.
    LinkRefused = Warn "excess_rate_limit_exceeded",
    /// A mail with a link was requested.
    LinkRequested = Info "link_requested",
    /// An account was made.
    UserCreated = Info "user_created",
    /// A user's address was verified.
    UserVerified = Info "user_verified",
    /// A user asked for another address.
    EmailChangeRequested = Info "email_change_requested",
    /// A user withdrew the change of address that they had asked for.
    EmailChangeWithdrawn = Info "email_change_withdrawn",
    /// A property of an account that gives no rights was changed, such as the name.
    UserUpdated = Info "user_updated",
    /// A user has another role.
    RoleChanged = Info "authz_change",
    /// An account may not sign in any more.
    UserDisabled = Info "user_disabled",
    /// An account may sign in again.
    UserEnabled = Info "user_enabled",
    /// An account was removed.
    UserDeleted = Info "user_deleted",
    /// A service was added.
    ClientCreated = Info "service_client_created",
    /// A service was removed.
    ClientDeleted = Info "service_client_deleted",
    /// A mail server accepted a mail.
    MailSent = Info "mail_sent" counts MAILS by "kind" outcome "sent",
    /// A mail was dropped: no account has its address, or its user does not need it any more.
    MailNotSent = Info "mail_not_sent",
    /// A mail will not be tried again.
    MailGivenUp = Error "mail_given_up" counts MAILS by "kind" outcome "given_up",
}

impl Event {
    /// Counts the event, and writes its line.
    pub(super) fn tell(self, origin: Option<&Origin>, fields: &[Field<'_>]) {
        self.count(fields);
        self.write(None, origin, fields);
    }

    /// Creates the counters of all events at 0, for every value that a label can have: a counter that first
    /// appears with its first event is no increase for Prometheus.
    pub(in crate::auth) fn start_counting() {
        for Metric { name, by, labels } in Self::ALL.iter().flat_map(|event| event.definition().metric) {
            let fixed = || labels.iter().map(|(label, value)| Label::new(*label, *value));
            if by.is_empty() {
                counter!(*name, fixed().collect::<Vec<_>>()).increment(0);
            }
            for (field, value) in by
                .iter()
                .flat_map(|field| words_of(field).map(move |word| (*field, word)))
            {
                let labels: Vec<_> = [Label::new(field, value)].into_iter().chain(fixed()).collect();
                counter!(*name, labels).increment(0);
            }
        }
    }

    /// Counts the event in its metric.
    pub(super) fn count(self, fields: &[Field<'_>]) {
        for Metric { name, by, labels } in self.definition().metric {
            let of_fields = fields.iter().filter(|(field, _)| by.contains(field));
            let of_fields = of_fields.map(|(field, value)| Label::new(*field, value.to_string()));
            let fixed = labels.iter().map(|(label, value)| Label::new(*label, *value));
            counter!(*name, of_fields.chain(fixed).collect::<Vec<_>>()).increment(1);
        }
    }

    /// Writes a line, for one event or for a `count` of them: its fields, and where the request came from.
    pub(super) fn write(self, count: Option<u64>, origin: Option<&Origin>, fields: &[Field<'_>]) {
        let Definition { level, word, .. } = self.definition();
        if level > log::max_level() {
            return;
        }
        let mut values: Vec<_> = count
            .map(|count| ("count", Value::from(count)))
            .into_iter()
            .collect();
        values.extend(
            fields
                .iter()
                .map(|(name, value)| (*name, Value::from_display(value))),
        );
        let origin = origin.map(|origin| (origin.address(), origin.user_agent().unwrap_or_default()));
        if let Some((from, agent)) = &origin {
            values.extend([
                ("from", Value::from_display(from)),
                ("agent", Value::from(*agent)),
            ]);
        }
        let target = if self == Self::SessionExpired {
            EXPIRED
        } else {
            TARGET
        };
        let mut record = Record::builder();
        let record = record.level(level).target(target).key_values(&values);
        log::logger().log(&record.args(format_args!("{word}")).build());
    }
}

/// All values of a field that is a label of a metric. Empty for any other field.
fn words_of(field: &str) -> std::vec::IntoIter<&'static str> {
    let words = match field {
        "reason" => EndReason::ALL.map(EndReason::as_str).to_vec(),
        "kind" => Kind::ALL.map(Kind::as_str).to_vec(),
        _ => Vec::new(),
    };
    words.into_iter()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_field_that_counts_has_words() {
        for Metric { name, by, .. } in Event::ALL.iter().flat_map(|event| event.definition().metric) {
            assert!(by.len() <= 1, "{name}: pairs of words are not counted from 0");
            assert!(by.iter().all(|field| words_of(field).len() > 0), "{name}");
        }
    }

    #[test]
    fn the_page_for_operators_has_every_event_with_its_level_and_no_other() {
        let page = include_str!("../../../docs/monitoring.md");
        let (_, page) = page
            .split_once("\n### What was done, and what was refused\n")
            .unwrap();
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
        let described: BTreeSet<(&str, String)> = rows
            .map(|row| {
                let (event, rest) = row.split_once("` | ").unwrap();
                (event, rest.split(' ').next().unwrap().to_uppercase())
            })
            .collect();
        let events: BTreeSet<(&str, String)> = Event::ALL
            .iter()
            .map(|event| (event.definition().word, event.definition().level.to_string()))
            .collect();
        assert_eq!(described, events);
    }
}
