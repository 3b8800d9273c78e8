//! Flags and environment in, one typed configuration out. Nothing else reads a setting.

mod mail;
mod reader;
mod settings;
mod site;

use std::fmt;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnetwork::IpNetwork;

pub use mail::{MailConfig, MailPolicy};
use reader::Reader;
pub use settings::{DatabaseSettings, HistorySettings, ServeSettings};

/// The server crate takes no more.
const MOST_WORKERS: u32 = 512;

/// Which database, and how many connections to it.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// Given by the operator, or the embedded PostgreSQL's directory.
    pub location: DatabaseLocation,
    /// 2 to 250: one to validate with, one for everything else.
    pub pool_size: u32,
}

/// Whose PostgreSQL it is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseLocation {
    /// The operator's own, as a libpq connection string.
    Url(String),
    /// A private one that this program runs, with everything under this directory.
    Embedded(PathBuf),
}

// A connection string may hold a password.
impl fmt::Debug for DatabaseLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(_) => f.write_str("Url(..)"),
            Self::Embedded(dir) => f.debug_tuple("Embedded").field(dir).finish(),
        }
    }
}

/// Everything `serve` needs beside the database.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// Port 0 takes any free port.
    pub bind: SocketAddr,
    /// 1 to 512.
    pub workers: usize,
    /// `http://` or `https://` and a host in its ASCII form, without a trailing slash.
    pub public_url: Option<String>,
    /// Its files come before and beside the stylesheets, scripts and images that the program carries.
    pub static_dir: Option<PathBuf>,
    /// Who carries the mails; none: there are none.
    pub mail: Option<MailConfig>,
    /// None: in the clear, or a proxy speaks TLS.
    pub tls: Option<TlsConfig>,
    /// Origins whose pages may use the API, as browsers write them. Empty: none but our own.
    pub cors_origins: Vec<String>,
    /// Sign-ins a minute from one origin; none: no limit.
    pub login_rate: Option<NonZeroU32>,
    /// How long to go on, unready, once told to stop: until every load balancer has noticed.
    pub stop_delay: Duration,
    /// Most connections at a time; those beyond wait to be accepted.
    pub max_connections: usize,
    /// Where metrics are told; none: nowhere.
    pub metrics_bind: Option<SocketAddr>,
    /// Empty: nobody's forwarded address is believed.
    pub trusted_proxies: Vec<IpNetwork>,
    /// When sessions end, addresses are locked, and the past is forgotten.
    pub policy: Policy,
    /// Most event streams at a time.
    pub max_event_streams: usize,
    /// At least one second.
    pub sweep_interval: Duration,
}

/// A certificate chain and its private key, both in PEM form.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// The rules that the use cases apply.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy {
    /// When sessions end.
    pub sessions: SessionPolicy,
    /// When an address is locked.
    pub lockout: LockoutPolicy,
    /// When the past is forgotten.
    pub history: HistoryPolicy,
    /// What is told by mail.
    pub mail: MailPolicy,
}

/// How long it is kept what became of a session.
#[derive(Clone, Copy, Debug)]
pub struct HistoryPolicy {
    /// Counted from the end of the session.
    pub retention: Duration,
}

/// How long a session lives (OWASP ASVS 7.3.1, 7.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionPolicy {
    /// Without activity a session ends after this.
    pub idle_timeout: Duration,
    /// Activity younger than this is not written down again; at most half the idle timeout.
    pub activity_threshold: Duration,
    /// However active, a session ends this long after sign-in; at least the idle timeout.
    pub max_lifetime: Duration,
}

impl SessionPolicy {
    /// For commands, which do not know the limits of the servers: each session as its row says.
    pub const AS_STORED: Self = Self {
        idle_timeout: CENTURIES,
        activity_threshold: CENTURIES,
        max_lifetime: CENTURIES,
    };
}

/// Longer than any session, and short enough to be added to a time.
const CENTURIES: Duration = Duration::from_secs(1_000 * 365 * 24 * 60 * 60);

/// When guessing is stopped (OWASP ASVS 6.3.1).
#[derive(Clone, Copy, Debug)]
pub struct LockoutPolicy {
    /// 1 to 100 (NIST SP 800-63B-4, 3.2.2: at most 100).
    pub max_failed_attempts: i32,
    /// How long the address stays locked.
    pub duration: Duration,
}

impl Default for HistoryPolicy {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(30 * 24 * 60 * 60),
        }
    }
}

impl Default for SessionPolicy {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(2 * 60 * 60),
            activity_threshold: Duration::from_secs(15 * 60),
            max_lifetime: Duration::from_secs(12 * 60 * 60),
        }
    }
}

impl Default for LockoutPolicy {
    fn default() -> Self {
        Self {
            max_failed_attempts: 5,
            duration: Duration::from_secs(15 * 60),
        }
    }
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

/// What the commands that only need data are told.
///
/// # Errors
/// Every value that cannot be used.
pub fn database(settings: &DatabaseSettings) -> Result<DatabaseConfig, BadValues> {
    let mut reader = Reader::default();
    let config = reader.database(settings);
    reader.finish(config)
}

/// What `sweep` is told.
///
/// # Errors
/// Every value that cannot be used, of both groups.
pub fn sweep(
    database: &DatabaseSettings,
    history: &HistorySettings,
) -> Result<(DatabaseConfig, HistoryPolicy), BadValues> {
    let mut reader = Reader::default();
    let database = reader.database(database);
    let history = reader.history(history);
    reader.finish(database.zip(history))
}

/// Where standard output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardOutput {
    /// To somebody who looks at it.
    Terminal,
    /// To a file, a journal or nowhere.
    Elsewhere,
}

impl StandardOutput {
    /// Where that of this program goes.
    pub fn of_this_program() -> Self {
        if std::io::stdout().is_terminal() {
            Self::Terminal
        } else {
            Self::Elsewhere
        }
    }
}

/// What `serve` is told.
///
/// # Errors
/// Every value that cannot be used, of both groups.
pub fn serve(
    database: &DatabaseSettings,
    serve: &ServeSettings,
    output: StandardOutput,
) -> Result<(DatabaseConfig, ServeConfig), BadValues> {
    let mut reader = Reader::default();
    let database = reader.database(database);
    let is_embedded = matches!(
        database.as_ref().map(|database| &database.location),
        Some(DatabaseLocation::Embedded(_))
    );
    // A link in a journal would let in whoever reads that.
    let prints_mail = is_embedded && output == StandardOutput::Terminal;
    let serve = reader.serve(serve, prints_mail);
    reader.finish(database.zip(serve))
}

#[cfg(test)]
mod tests {
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

    pub(super) fn read_with(
        output: StandardOutput,
        flags: &[&str],
    ) -> Result<(DatabaseConfig, ServeConfig), BadValues> {
        let flags = Flags::parse_from([&["oneseat"], flags].concat());
        serve(&flags.database, &flags.serve, output)
    }

    #[test]
    fn the_defaults_are_those_of_the_policies() {
        let (_, config) = read(&["--database-url", "postgres://"]).unwrap();
        assert_eq!(
            config.policy.sessions.idle_timeout,
            SessionPolicy::default().idle_timeout
        );
        assert_eq!(
            config.policy.lockout.max_failed_attempts,
            LockoutPolicy::default().max_failed_attempts
        );
        assert_eq!(config.bind.to_string(), "127.0.0.1:8080");
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
    fn a_directory_of_static_files_is_there_at_the_start() {
        assert!(read(&["--static-dir", env!("CARGO_MANIFEST_DIR")]).is_ok());
        for wrong in ["/nowhere", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
            let bad = read(&["--static-dir", wrong]).unwrap_err().to_string();
            assert!(bad.contains("--static-dir") && bad.contains(wrong), "{bad}");
            assert_eq!(bad.lines().count(), 1);
        }
    }

    #[test]
    fn other_machines_are_not_served_in_the_clear_by_accident() {
        let cert = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        for bind in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80"] {
            let bad = read(&["--bind", bind]).unwrap_err().to_string();
            assert!(
                bad.contains("--tls-cert") && bad.contains("--insecure-http"),
                "{bad}"
            );
            for enough in [
                &["--insecure-http"][..],
                &["--trusted-proxies", "10.0.0.0/8"],
                &["--tls-cert", cert, "--tls-key", cert],
            ] {
                assert!(read(&[&["--bind", bind], enough].concat()).is_ok(), "{enough:?}");
            }
        }
        for bind in ["127.0.0.1:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert!(read(&["--bind", bind]).is_ok(), "{bind}");
        }
        let bad = read(&["--tls-cert", cert]).unwrap_err().to_string();
        assert!(bad.contains("--tls-key"), "{bad}");
    }

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        let origins = "https://App.example.org/, https://bücher.example,https://b.example:443";
        let (_, config) = read(&["--cors-origins", origins]).unwrap();
        assert_eq!(
            config.cors_origins,
            [
                "https://app.example.org",
                "https://xn--bcher-kva.example",
                "https://b.example"
            ]
        );
        let bad = read(&["--cors-origins", "https://a.example,https://*.b.example"]).unwrap_err();
        assert!(
            bad.to_string().contains("`https://*.b.example` is not an origin"),
            "{bad}"
        );
    }

    #[test]
    fn a_login_rate_may_be_off() {
        let rate = |raw| read(&["--login-rate", raw]).map(|(_, config)| config.login_rate);
        assert_eq!(rate("off"), Ok(None));
        assert_eq!(rate("7"), Ok(NonZeroU32::new(7)));
        assert!(rate("0").is_err() && rate("many").is_err());
    }

    #[test]
    fn values_that_contradict_each_other_are_refused() {
        let bad = read(&["--idle-timeout", "13h", "--activity-threshold", "12h"]).unwrap_err();
        assert_eq!(bad.to_string().lines().count(), 2);
    }

    #[test]
    fn a_connection_string_is_never_printed() {
        let (database, _) = read(&["--database-url", "postgres://ada:canary@db/x"]).unwrap();
        assert!(!format!("{database:?}").contains("canary"));
    }

    #[test]
    fn a_connection_string_may_be_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        let of_file = || read(&["--database-url-file", file.to_str().unwrap()]);
        std::fs::write(&file, "postgres://ada:canary@db/x\n").unwrap();
        let (database, _) = of_file().unwrap();
        assert_eq!(
            database.location,
            DatabaseLocation::Url("postgres://ada:canary@db/x".to_owned())
        );
        for wrong in [&b"\n"[..], b"postgres://canary\0", b"canary\xff"] {
            std::fs::write(&file, wrong).unwrap();
            let bad = of_file().unwrap_err().to_string();
            assert!(
                bad.contains("--database-url-file") && !bad.contains("canary"),
                "{bad}"
            );
        }
        std::fs::remove_file(&file).unwrap();
        assert!(of_file().is_err());
        let both = [
            "--database-url",
            "postgres://",
            "--database-url-file",
            "/dev/null",
        ];
        assert!(
            read(&both)
                .unwrap_err()
                .to_string()
                .contains("exclude each other")
        );
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
                    prop_assert!((1..=512).contains(&config.workers));
                }
                Err(bad) => prop_assert!(bad.to_string().contains("--")),
            }
        }
    }
}
