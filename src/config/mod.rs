//! Turns flags and environment into one typed configuration. Nothing else reads a setting.
//!
//! Each subject has its flags, its type and its parsing in a file of its own.

mod database;
mod http;
mod mail;
mod origin;
mod pepper;
mod proxies;
mod reader;
mod sessions;
mod site;
mod tls;

use std::fmt;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Command, FromArgMatches};
use ipnetwork::IpNetwork;

pub use database::{DatabaseConfig, DatabaseLocation, DatabaseSettings};
pub use http::{HttpConfig, HttpSettings};
pub use mail::{MailConfig, MailPolicy, MailSettings, ReachSettings};
pub use pepper::{Pepper, PepperSettings};
pub use proxies::ProxySettings;
use reader::Reader;
pub use sessions::{
    HistoryPolicy, HistorySettings, LockoutPolicy, SessionPolicy, SessionSettings, TakeoverPolicy,
    ValidationMemory,
};
pub use site::{Accent, Logo, LogoFormat, Shades, SiteConfig, SiteLink, SiteSettings, USUAL_NAME};
pub use tls::{TlsConfig, TlsSettings};

/// Settings of `serve`, still as text, so that all values can be checked together. Taken by `serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeSettings {
    /// Where and how HTTP is served.
    #[command(flatten)]
    pub http: HttpSettings,
    /// The server's own TLS.
    #[command(flatten)]
    pub tls: TlsSettings,
    /// Which proxies are trusted.
    #[command(flatten)]
    pub proxies: ProxySettings,
    /// When sessions end.
    #[command(flatten)]
    pub sessions: SessionSettings,
    /// How long the history is kept.
    #[command(flatten)]
    pub history: HistorySettings,
    /// How passwords from other systems are checked.
    #[command(flatten)]
    pub pepper: PepperSettings,
    /// How mails are sent.
    #[command(flatten)]
    pub mail: MailSettings,
    /// How the site shows itself.
    #[command(flatten)]
    pub site: SiteSettings,
}

/// Everything `serve` needs beside the database.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// Where and how HTTP is served.
    pub http: HttpConfig,
    /// The server's own TLS. `None`: it serves in the clear, or a proxy speaks TLS.
    pub tls: Option<TlsConfig>,
    /// The networks of trusted proxies. If there are none, no forwarded address counts.
    pub trusted_proxies: Vec<IpNetwork>,
    /// How mails are sent. `None`: no mail.
    pub mail: Option<MailConfig>,
    /// How the site shows itself.
    pub site: SiteConfig,
    /// The secret that another system appended to its passwords, for hashes from there.
    pub pepper: Option<Pepper>,
    /// The rules that the use cases apply.
    pub policy: Policy,
    /// For how long, and for how many sessions, validations are remembered.
    pub memory: ValidationMemory,
    /// Pause between two sweeps: at least one second.
    pub sweep_interval: Duration,
    /// How long a page may be gone before its session ends; zero: for ever.
    pub page_grace: Duration,
}

/// The rules that the use cases apply.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// When sessions end.
    pub sessions: SessionPolicy,
    /// What a sign-in does while its user has a live session.
    pub takeover: TakeoverPolicy,
    /// When an address is locked.
    pub lockout: LockoutPolicy,
    /// When the history is forgotten.
    pub history: HistoryPolicy,
    /// Which mails are sent.
    pub mail: MailPolicy,
    /// Whether mail reaches addresses with letters beyond ASCII before the `@`.
    pub takes_utf8_addresses: bool,
}

/// Every value that could not be used, in words.
#[derive(Debug, PartialEq, Eq)]
pub struct BadValues(Vec<String>);

impl fmt::Display for BadValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for BadValues {}

/// Reads the settings of the commands that only need data.
///
/// # Errors
/// Every value that cannot be used.
pub fn database(settings: &DatabaseSettings) -> Result<DatabaseConfig, BadValues> {
    let mut reader = Reader::default();
    let config = DatabaseConfig::read(&mut reader, settings);
    reader.finish(config)
}

/// Reads the settings of a command about the private PostgreSQL itself, and returns its directory.
///
/// # Errors
/// Every value that cannot be used, or that a database of the operator's is configured.
pub fn private_database(settings: &DatabaseSettings) -> Result<PathBuf, BadValues> {
    match database(settings)?.location {
        DatabaseLocation::Embedded(dir) => Ok(dir),
        DatabaseLocation::Url(_) => Err(BadValues(vec![
            "a database of your own is named (DATABASE_URL, DATABASE_URL_FILE or their flags), and this is for the private \
             PostgreSQL; leave that out and unset them, or upgrade your server with its own tools"
                .to_owned(),
        ])),
    }
}

/// Reads the settings of `sweep`.
///
/// # Errors
/// Every value that cannot be used, of both groups.
pub fn sweep(
    database: &DatabaseSettings,
    history: &HistorySettings,
) -> Result<(DatabaseConfig, HistoryPolicy), BadValues> {
    let mut reader = Reader::default();
    let database = DatabaseConfig::read(&mut reader, database);
    let history = HistoryPolicy::read(&mut reader, history);
    reader.finish(database.zip(history))
}

/// Reads what `user add` and `user invite` know of the mail server: whether mail reaches addresses with letters
/// beyond ASCII before the `@`. `is_mailed` says whether the new user needs a mail.
///
/// # Errors
/// A value that cannot be used.
pub fn takes_utf8_addresses(settings: &ReachSettings, is_mailed: bool) -> Result<bool, BadValues> {
    let mut reader = Reader::default();
    let takes = mail::reaches_utf8(&mut reader, settings, is_mailed);
    reader.finish(takes)
}

/// Where standard output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardOutput {
    /// To a person who looks at it.
    Terminal,
    /// To a file, a journal or nowhere.
    Elsewhere,
}

impl StandardOutput {
    /// Where this program's standard output goes.
    pub fn of_this_program() -> Self {
        if std::io::stdout().is_terminal() {
            Self::Terminal
        } else {
            Self::Elsewhere
        }
    }
}

/// Reads the settings of `serve`.
///
/// # Errors
/// Every value that cannot be used, of both groups.
pub fn serve(
    database: &DatabaseSettings,
    serve: &ServeSettings,
    output: StandardOutput,
) -> Result<(DatabaseConfig, ServeConfig), BadValues> {
    let mut reader = Reader::default();
    let database = DatabaseConfig::read(&mut reader, database);
    // A link in a journal would let in everybody who reads the journal.
    let prints_mail =
        database.as_ref().is_some_and(DatabaseConfig::is_embedded) && output == StandardOutput::Terminal;
    let serve = ServeConfig::read(&mut reader, serve, prints_mail);
    reader.finish(database.zip(serve))
}

impl ServeConfig {
    fn read(reader: &mut Reader, settings: &ServeSettings, prints_mail: bool) -> Option<Self> {
        let http = HttpConfig::read(reader, &settings.http);
        let tls = TlsConfig::read(reader, &settings.tls);
        let trusted_proxies = proxies::trusted(reader, &settings.proxies);
        // Told together with every other mistake about HTTP.
        if let (Ok(bind), Some(tls), Some(proxies)) =
            (settings.http.bind.trim().parse(), &tls, &trusted_proxies)
        {
            let has_proxies = !proxies.is_empty();
            tls::require_encryption(reader, &settings.tls, bind, tls.is_some(), has_proxies);
        }
        let has_public_url = reader::given(&settings.http.public_url).is_some();
        let mail = MailConfig::read(reader, &settings.mail, has_public_url, prints_mail);
        let pepper = Pepper::read(reader, &settings.pepper);
        let sends_mail = mail.as_ref().is_none_or(Option::is_some);
        let site = SiteConfig::read(reader, &settings.site);
        let policy = Policy::read(reader, settings, sends_mail);
        let memory = ValidationMemory::read(reader, &settings.sessions);
        let sweep_interval = sessions::sweep_interval(reader, &settings.sessions);
        let page_grace = sessions::page_grace(reader, &settings.sessions);
        Some(Self {
            http: http?,
            tls: tls?,
            trusted_proxies: trusted_proxies?,
            mail: mail?,
            site: site?,
            pepper: pepper?,
            policy: policy?,
            memory: memory?,
            sweep_interval: sweep_interval?,
            page_grace: page_grace?,
        })
    }

    /// The defaults of `serve` over a database of the operator's, whatever the environment says. For programs
    /// that serve as a part of something else, and for commands, which have no settings of `serve`.
    ///
    /// # Errors
    /// Never: none of the defaults is bad.
    pub fn usual() -> Result<Self, BadValues> {
        let command = ServeSettings::augment_args(Command::new("serve")).mut_args(|arg| arg.env(None));
        let bad = |error: clap::Error| BadValues(vec![error.to_string()]);
        let matches = command.try_get_matches_from(["serve"]).map_err(bad)?;
        let settings = ServeSettings::from_arg_matches(&matches).map_err(bad)?;
        let mut reader = Reader::default();
        let config = Self::read(&mut reader, &settings, false);
        reader.finish(config)
    }
}

impl Policy {
    fn read(reader: &mut Reader, settings: &ServeSettings, sends_mail: bool) -> Option<Self> {
        let sessions = SessionPolicy::read(reader, &settings.sessions);
        let takeover = TakeoverPolicy::read(reader, &settings.sessions);
        let lockout = LockoutPolicy::read(reader, &settings.sessions);
        let history = HistoryPolicy::read(reader, &settings.history);
        let mail = MailPolicy::read(reader, &settings.mail, sends_mail);
        let takes_utf8_addresses = mail::takes_utf8(reader, &settings.mail);
        Some(Self {
            sessions: sessions?,
            takeover: takeover?,
            lockout: lockout?,
            history: history?,
            mail: mail?,
            takes_utf8_addresses: takes_utf8_addresses?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use clap::Parser;
    use proptest::prelude::*;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        database: DatabaseSettings,
        #[command(flatten)]
        serve: ServeSettings,
    }

    pub(super) fn read(flags: &[&str]) -> Result<(DatabaseConfig, ServeConfig), BadValues> {
        read_with(StandardOutput::Terminal, flags)
    }

    pub(crate) fn read_with(
        output: StandardOutput,
        flags: &[&str],
    ) -> Result<(DatabaseConfig, ServeConfig), BadValues> {
        let flags = Flags::parse_from([&["oneseat"], flags].concat());
        serve(&flags.database, &flags.serve, output)
    }

    #[test]
    fn without_a_flag_and_without_an_environment_everything_is_as_usual() {
        let usual = ServeConfig::usual().unwrap();
        let (_, read) = read(&["--database-url", "postgres://"]).unwrap();
        assert_eq!(format!("{usual:?}"), format!("{read:?}"));
        assert_eq!(usual.http.bind.to_string(), "127.0.0.1:8080");
    }

    #[test]
    fn every_bad_value_is_reported_at_once() {
        let bad = read(&[
            "--idle-timeout",
            "soon",
            "--bind",
            "nowhere",
            "--trusted-proxies",
            "10.0.0.0/99",
            "--db-pool-size",
            "0",
            "--public-url",
            "ftp://x",
        ])
        .unwrap_err()
        .to_string();
        for flag in [
            "--idle-timeout",
            "--bind",
            "--trusted-proxies",
            "--db-pool-size",
            "--public-url",
        ] {
            assert!(bad.contains(flag), "{flag} is missing from: {bad}");
        }
        assert_eq!(bad.lines().count(), 5);
    }

    #[test]
    fn what_lacks_its_other_half_is_read_all_the_same() {
        let url = [
            "--database-url",
            "postgres://",
            "--public-url",
            "https://seat.example.org",
        ];
        for (flag, value, needs) in [
            ("--smtp-url", "mail.example.org", "--mail-from"),
            ("--mail-from", "nobody", "--smtp-url"),
            ("--tls-cert", "/nowhere", "--tls-key"),
            ("--tls-key", "/nowhere", "--tls-cert"),
        ] {
            let bad = read(&[&url[..], &[flag, value]].concat())
                .unwrap_err()
                .to_string();
            let (wrong, missing) = bad.split_once('\n').unwrap();
            assert!(wrong.starts_with(&format!("{flag} `")), "{bad}");
            assert!(
                missing.contains(needs) && missing.contains("need each other"),
                "{bad}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn whatever_a_flag_says_is_understood_or_refused_in_words(
            flag in prop_oneof![
                Just("--idle-timeout"), Just("--lockout"), Just("--login-rate"), Just("--workers"), Just("--bind"),
                Just("--public-url"), Just("--cors-origins"), Just("--trusted-proxies"), Just("--max-failed-attempts"),
            ],
            raw in prop_oneof![any::<String>(), "[0-9]{1,30}[smhdwy]?", "https?://[a-zA-Z0-9.:/@-]{0,30}"],
        ) {
            match read(&["--database-url", "postgres://", &format!("{flag}={raw}")]) {
                Ok((_, config)) => {
                    let lasting = config.policy.lockout.duration;
                    prop_assert!(lasting >= Duration::from_secs(1) && lasting <= Duration::from_secs(10 * 366 * 86_400));
                    prop_assert!((1..=100).contains(&config.policy.lockout.max_failed_attempts));
                    prop_assert!((1..=512).contains(&config.http.workers));
                }
                Err(bad) => prop_assert!(bad.to_string().contains("--")),
            }
        }
    }
}
