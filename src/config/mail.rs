//! How mails are sent, and which mails.

use std::fmt;
use std::net::IpAddr;

use clap::Args;
use lettre::SmtpTransport;
use lettre::message::Mailbox;
use url::Url;

use super::reader::{Reader, given};

/// Settings of mail. Taken by `serve`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Mail")]
pub struct MailSettings {
    /// SMTP server that takes the mails, such as `smtps://user:password@mail.example.org`, with TLS unless it
    /// is on this machine; without one, and with a private PostgreSQL, mails are printed if standard output
    /// is a terminal
    #[arg(long, env = "ONESEAT_SMTP_URL", value_name = "URL", hide_env_values = true)]
    pub smtp_url: Option<String>,

    /// Sender of the mails, such as `oneseat <seat@example.org>`
    #[arg(long, env = "ONESEAT_MAIL_FROM", value_name = "ADDRESS")]
    pub mail_from: Option<String>,

    /// The SMTP server takes addresses with letters beyond ASCII before the @ (SMTPUTF8): on or off [default: off]
    #[arg(long, env = "ONESEAT_SMTP_UTF8", value_name = "on|off")]
    pub smtp_utf8: Option<String>,

    /// Mail people when their seat is taken from an address and browser never seen for them: on or off
    /// [default: on where mail is sent]
    #[arg(long, env = "ONESEAT_SIGN_IN_MAIL", value_name = "on|off")]
    pub sign_in_mail: Option<String>,
}

/// What a command that makes an account has to know of the mail server.
#[derive(Args, Clone, Debug)]
pub struct ReachSettings {
    #[arg(long, env = "ONESEAT_SMTP_URL", hide = true, hide_env_values = true)]
    smtp_url: Option<String>,
    /// The mail server takes addresses with letters beyond ASCII before the @ (SMTPUTF8): on or off [default: off
    /// where mail is sent]
    #[arg(long, env = "ONESEAT_SMTP_UTF8", value_name = "on|off")]
    smtp_utf8: Option<String>,
}

/// How mails are sent.
#[derive(Clone, PartialEq, Eq)]
pub enum MailConfig {
    /// An SMTP server.
    Smtp {
        /// The URL of the server, as lettre reads it: `smtps://user:password@host:465`.
        url: String,
        /// The sender, as in `oneseat <seat@example.org>`.
        from: String,
    },
    /// Printed on standard output.
    Terminal,
}

// An SMTP server's URL may hold a password.
impl fmt::Debug for MailConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Smtp { from, .. } => write!(f, "Smtp {{ url: .., from: {from:?} }}"),
            Self::Terminal => f.write_str("Terminal"),
        }
    }
}

/// Which mails are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailPolicy {
    /// No mails: there is no way to send them.
    Off,
    /// Links and changes of passwords, and nothing else.
    Needed,
    /// Also sign-ins from a place where the user has not been seen before.
    NewPlaces,
}

impl MailPolicy {
    /// Whether mails are sent.
    pub fn is_on(self) -> bool {
        self != Self::Off
    }

    /// Whether mails report sign-ins from new origins.
    pub fn reports_new_origins(self) -> bool {
        self == Self::NewPlaces
    }
}

impl MailConfig {
    /// Reads where mails go: to an SMTP server, to the terminal, or nowhere.
    pub(super) fn read(
        reader: &mut Reader,
        settings: &MailSettings,
        has_public_url: bool,
        prints_mail: bool,
    ) -> Option<Option<Self>> {
        let url =
            given(&settings.smtp_url).map(|url| reader.read("--smtp-url", "(hidden)", |_| smtp_url(url)));
        let from = given(&settings.mail_from).map(|from| reader.read("--mail-from", from, sender));
        reader.require(
            url.is_some() == from.is_some(),
            "--smtp-url and --mail-from need each other",
        );
        reader.require(
            url.is_none() || has_public_url,
            "--smtp-url needs --public-url: mails lead people to it",
        );
        match (url, from) {
            (None, None) => Some(prints_mail.then_some(Self::Terminal)),
            (url, from) => Some(Some(Self::Smtp {
                url: url??,
                from: from??,
            })),
        }
    }
}

impl MailPolicy {
    pub(super) fn read(reader: &mut Reader, settings: &MailSettings, sends_mail: bool) -> Option<Self> {
        match given(&settings.sign_in_mail) {
            Some("off") | None if !sends_mail => Some(Self::Off),
            Some("on") if !sends_mail => {
                reader.require(
                    false,
                    "--sign-in-mail on needs --smtp-url, --mail-from and --public-url",
                );
                None
            }
            Some("off") => Some(Self::Needed),
            Some("on") | None => Some(Self::NewPlaces),
            Some(raw) => reader.read("--sign-in-mail", raw, |_| Err("must be on or off".to_owned())),
        }
    }
}

/// Whether every server that the mails go through takes letters beyond ASCII before the `@` (RFC 6531). Printing needs none.
pub(super) fn takes_utf8(reader: &mut Reader, settings: &MailSettings) -> Option<bool> {
    utf8(reader, &settings.smtp_utf8, given(&settings.smtp_url).is_none())
}

/// Whether mail servers take such letters, as far as a command knows: a server process sends the mail, and may have its
/// settings from elsewhere.
pub(super) fn reaches_utf8(reader: &mut Reader, settings: &ReachSettings, is_mailed: bool) -> Option<bool> {
    let sends_none = given(&settings.smtp_url).is_none() && !is_mailed;
    utf8(reader, &settings.smtp_utf8, sends_none)
}

fn utf8(reader: &mut Reader, setting: &Option<String>, usual: bool) -> Option<bool> {
    match given(setting) {
        Some("on") => Some(true),
        Some("off") => Some(false),
        None => Some(usual),
        Some(raw) => reader.read("--smtp-utf8", raw, |_| Err("must be on or off".to_owned())),
    }
}

fn sender(raw: &str) -> Result<String, String> {
    match raw.parse::<Mailbox>() {
        Ok(_) => Ok(raw.to_owned()),
        Err(_) => Err("write it like `oneseat <seat@example.org>`".to_owned()),
    }
}

/// A URL that lettre can use, and that protects the links and the password on the way.
fn smtp_url(raw: &str) -> Result<String, String> {
    let url = Url::parse(raw)
        .ok()
        .filter(|_| SmtpTransport::from_url(raw).is_ok())
        .ok_or(
            "write it like smtps://user:password@mail.example.org or smtp://mail.example.org:587?tls=required",
        )?;
    if is_encrypted(&url) || is_this_machine(&url) {
        Ok(raw.to_owned())
    } else {
        Err(
            "links and its password would travel in the clear: write smtps://, or add ?tls=required (STARTTLS); only \
             a server on this machine does without"
                .to_owned(),
        )
    }
}

/// Whether TLS is required, from the first byte or by STARTTLS. With `opportunistic` it is not: an attacker
/// on the way can take it away.
fn is_encrypted(url: &Url) -> bool {
    let tls = url.query_pairs().find(|(name, _)| name == "tls");
    url.scheme() == "smtps" || tls.is_some_and(|(_, tls)| tls == "required")
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::StandardOutput;
    use super::super::tests::{read, read_with};
    use super::*;

    const MAIL: [&str; 6] = [
        "--smtp-url",
        "smtps://seat:canary@mail.example.org",
        "--mail-from",
        "oneseat <seat@example.org>",
        "--public-url",
        "https://seat.example.org",
    ];

    #[test]
    fn mail_goes_to_its_server_or_to_the_terminal_of_who_tries_things_out() {
        let (_, config) = read(&[&["--database-url", "postgres://"][..], &MAIL].concat()).unwrap();
        assert!(matches!(config.mail, Some(MailConfig::Smtp { .. })));
        assert_eq!(config.policy.mail, MailPolicy::NewPlaces);
        let (_, config) = read(&["--data-dir", "/x"]).unwrap();
        assert_eq!(config.mail, Some(MailConfig::Terminal));
        let (_, config) = read(&["--data-dir", "/x", "--sign-in-mail", "off"]).unwrap();
        assert_eq!(config.policy.mail, MailPolicy::Needed);
        let (_, config) = read_with(StandardOutput::Elsewhere, &["--data-dir", "/x"]).unwrap();
        assert_eq!((config.mail, config.policy.mail), (None, MailPolicy::Off));
        let (_, config) = read(&["--database-url", "postgres://"]).unwrap();
        assert_eq!((config.mail, config.policy.mail), (None, MailPolicy::Off));
    }

    #[test]
    fn what_needs_mail_is_refused_without_it() {
        for (flags, words) in [
            (
                &["--sign-in-mail", "on"][..],
                "--sign-in-mail on needs --smtp-url",
            ),
            (&MAIL[..2], "need each other"),
            (&MAIL[2..4], "need each other"),
            (&MAIL[..4], "--smtp-url needs --public-url"),
            (
                &[
                    "--smtp-url",
                    "mail.example.org:canary",
                    "--mail-from",
                    "a@b",
                    "--public-url",
                    "http://x",
                ],
                "smtps://",
            ),
            (
                &[
                    MAIL[0],
                    MAIL[1],
                    "--mail-from",
                    "nobody",
                    "--public-url",
                    "http://x",
                ],
                "--mail-from `nobody`",
            ),
            (
                &["--sign-in-mail", "perhaps"],
                "--sign-in-mail `perhaps`: must be on or off",
            ),
        ] {
            let Err(bad) = read(&[&["--database-url", "postgres://"], flags].concat()) else {
                panic!("{flags:?}");
            };
            let bad = bad.to_string();
            assert!(bad.contains(words) && !bad.contains("canary"), "{bad}");
        }
    }

    #[test]
    fn the_url_of_the_smtp_server_is_never_printed() {
        let (_, config) = read(&MAIL).unwrap();
        let shown = format!("{config:?}");
        assert!(
            shown.contains("seat@example.org") && !shown.contains("canary"),
            "{shown}"
        );
    }

    #[test]
    fn links_do_not_travel_in_the_clear_by_accident() {
        let with = |url| read(&[&["--smtp-url", url][..], &MAIL[2..]].concat());
        for wrong in [
            "smtp://seat:canary@mail.example.org",
            "smtp://seat:canary@mail.example.org:587?tls=opportunistic",
            "smtp://192.0.2.1",
            "smtp://localhost.example.org",
            "smtp://mail.example.org?x=tls&tls=none&tls=required",
        ] {
            let bad = with(wrong).unwrap_err().to_string();
            assert!(bad.contains("--smtp-url") && !bad.contains("canary"), "{bad}");
            assert_eq!(bad.lines().count(), 1);
        }
        assert!(
            with("smtp://mail.example.org")
                .unwrap_err()
                .to_string()
                .contains("?tls=required")
        );
        for right in [
            "smtps://seat:canary@mail.example.org",
            "smtp://mail.example.org:587?tls=required",
            "smtp://127.0.0.1:25",
            "smtp://[::1]:25",
            "smtp://localhost?tls=opportunistic",
        ] {
            assert!(with(right).is_ok(), "{right}");
        }
    }
}
