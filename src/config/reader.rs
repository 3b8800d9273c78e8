//! Parses every value and remembers what was wrong with each, so that an operator who got three wrong is told about
//! three.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnetwork::IpNetwork;

use super::site::{origin, public_url};
use super::{
    BadValues, DatabaseConfig, DatabaseLocation, DatabaseSettings, HistoryPolicy, HistorySettings,
    LockoutPolicy, MOST_WORKERS, Policy, ServeConfig, ServeSettings, SessionPolicy, TlsConfig,
};

/// The longest duration accepted: far beyond any use, well within PostgreSQL's intervals.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Parses values and remembers what was wrong with each.
#[derive(Default)]
pub(super) struct Reader {
    bad: Vec<String>,
}

impl Reader {
    pub(super) fn read<T>(
        &mut self,
        flag: &str,
        raw: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        parse(raw.trim())
            .map_err(|wrong| self.bad.push(format!("{flag} `{}`: {wrong}", raw.trim())))
            .ok()
    }

    fn duration(&mut self, flag: &str, raw: &str) -> Option<Duration> {
        self.read(flag, raw, |raw| {
            let duration = humantime::parse_duration(raw)
                .map_err(|_| "not a duration; write it like 90s, 15m or 2h".to_owned())?;
            if duration < Duration::from_secs(1) || duration > LONGEST {
                return Err("must be between 1s and 10 years".to_owned());
            }
            Ok(duration)
        })
    }

    fn count(&mut self, flag: &str, raw: &str, range: RangeInclusive<u32>) -> Option<u32> {
        self.read(flag, raw, |raw| match u32::from_str(raw) {
            Ok(count) if range.contains(&count) => Ok(count),
            _ => Err(format!(
                "must be a whole number from {} to {}",
                range.start(),
                range.end()
            )),
        })
    }

    /// Refuses a value that is right alone and wrong beside another.
    pub(super) fn require(&mut self, holds: bool, otherwise: &str) {
        if !holds {
            self.bad.push(otherwise.to_owned());
        }
    }

    pub(super) fn database(&mut self, settings: &DatabaseSettings) -> Option<DatabaseConfig> {
        let (url, file) = (given(&settings.database_url), given(&settings.database_url_file));
        self.require(
            url.is_none() || file.is_none(),
            "--database-url and --database-url-file exclude each other",
        );
        let location = match (url, file) {
            (Some(url), _) => self.read("--database-url", "(hidden)", |_| database_url(url)),
            (None, Some(file)) => self.read("--database-url-file", file, |file| {
                let url =
                    std::fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))?;
                database_url(url.trim())
            }),
            (None, None) => match given(&settings.data_dir) {
                Some(dir) => self.read("--data-dir", dir, |dir| {
                    std::path::absolute(dir)
                        .map(DatabaseLocation::Embedded)
                        .map_err(|error| error.to_string())
                }),
                None => self.read("--data-dir", "", |_| {
                    default_data_dir()
                        .map(DatabaseLocation::Embedded)
                        .ok_or_else(|| "neither XDG_DATA_HOME nor HOME is set; name one".to_owned())
                }),
            },
        };
        let pool_size = self.count("--db-pool-size", &settings.db_pool_size, 2..=250);
        Some(DatabaseConfig {
            location: location?,
            pool_size: pool_size?,
        })
    }

    fn sessions(&mut self, settings: &ServeSettings) -> Option<SessionPolicy> {
        let idle = self.duration("--idle-timeout", &settings.idle_timeout);
        let threshold = self.duration("--activity-threshold", &settings.activity_threshold);
        let max = self.duration("--max-lifetime", &settings.max_lifetime);
        let policy = SessionPolicy {
            idle_timeout: idle?,
            activity_threshold: threshold?,
            max_lifetime: max?,
        };
        self.require(
            policy.activity_threshold <= policy.idle_timeout / 2,
            "--activity-threshold must be at most half of --idle-timeout, \
             or activity would be noticed too late to count",
        );
        self.require(
            policy.idle_timeout <= policy.max_lifetime,
            "--idle-timeout must not be longer than --max-lifetime",
        );
        Some(policy)
    }

    pub(super) fn history(&mut self, settings: &HistorySettings) -> Option<HistoryPolicy> {
        let retention = self.duration("--history-retention", &settings.history_retention);
        Some(HistoryPolicy {
            retention: retention?,
        })
    }

    pub(super) fn serve(&mut self, settings: &ServeSettings, prints_mail: bool) -> Option<ServeConfig> {
        let bind = self.read("--bind", &settings.bind, address);
        let metrics_bind = match given(&settings.metrics_bind) {
            None => Some(None),
            Some(raw) => self.read("--metrics-bind", raw, address).map(Some),
        };
        let workers = match given(&settings.workers) {
            Some(raw) => self
                .count("--workers", raw, 1..=MOST_WORKERS)
                .map(|workers| workers as usize),
            None => Some(usual_workers(
                std::thread::available_parallelism().map_or(1, usize::from),
            )),
        };
        let public_url = match given(&settings.public_url) {
            Some(raw) => self.read("--public-url", raw, public_url).map(Some),
            None => Some(None),
        };
        let static_dir = match given(&settings.static_dir) {
            None => Some(None),
            Some(raw) => self.read("--static-dir", raw, static_dir).map(Some),
        };
        let trusted_proxies: Option<Vec<IpNetwork>> =
            self.read("--trusted-proxies", &settings.trusted_proxies, |raw| {
                listed(raw)
                    .map(|network| {
                        network.parse().map_err(|_| {
                            format!("`{network}` is not a network; write it like 10.0.0.0/8 or ::1")
                        })
                    })
                    .collect()
            });
        let tls = self.tls(settings);
        if let (Some(bind), Some(proxies), Some(tls)) = (&bind, &trusted_proxies, &tls) {
            let is_private = bind.ip().to_canonical().is_loopback() || tls.is_some() || !proxies.is_empty();
            self.require(
                is_private || settings.insecure_http,
                "--bind names an address that other machines reach, and passwords would travel in the clear: give \
                 --tls-cert and --tls-key, or --trusted-proxies for a proxy in front that speaks TLS, or --insecure-http",
            );
        }
        let mail = self.mail(settings, prints_mail);
        let mail_policy = self.mail_policy(settings, mail.as_ref().is_none_or(Option::is_some));
        let cors_origins = self.read("--cors-origins", &settings.cors_origins, |raw| {
            listed(raw).map(origin).collect::<Result<Vec<_>, _>>()
        });
        let login_rate = match settings.login_rate.trim() {
            "off" => Some(None),
            raw => self
                .count("--login-rate", raw, 1..=1_000_000)
                .map(NonZeroU32::new),
        };
        let connections = self.count("--max-connections", &settings.max_connections, 1..=1_000_000);
        let stop_delay = match settings.stop_delay.trim() {
            "0" | "0s" => Some(Duration::ZERO),
            raw => self.duration("--stop-delay", raw),
        };
        let sessions = self.sessions(settings);
        let sweep_interval = self.duration("--sweep-interval", &settings.sweep_interval);
        let attempts = self.count("--max-failed-attempts", &settings.max_failed_attempts, 1..=100);
        let history = self.history(&settings.history);
        let streams = self.count("--max-event-streams", &settings.max_event_streams, 1..=1_000_000);
        let lockout = self.duration("--lockout", &settings.lockout);
        Some(ServeConfig {
            bind: bind?,
            workers: workers?,
            metrics_bind: metrics_bind?,
            public_url: public_url?,
            static_dir: static_dir?,
            mail: mail?,
            tls: tls?,
            cors_origins: cors_origins?,
            login_rate: login_rate?,
            stop_delay: stop_delay?,
            max_connections: connections? as usize,
            trusted_proxies: trusted_proxies?,
            policy: Policy {
                sessions: sessions?,
                lockout: LockoutPolicy {
                    max_failed_attempts: i32::try_from(attempts?).unwrap_or(i32::MAX),
                    duration: lockout?,
                },
                history: history?,
                mail: mail_policy?,
            },
            max_event_streams: streams? as usize,
            sweep_interval: sweep_interval?,
        })
    }

    /// Both files or neither.
    fn tls(&mut self, settings: &ServeSettings) -> Option<Option<TlsConfig>> {
        let file = |reader: &mut Self, flag, raw| {
            reader.read(flag, raw, |raw| match std::fs::File::open(raw) {
                Ok(_) => Ok(PathBuf::from(raw)),
                Err(error) => Err(format!("cannot be read: {error}")),
            })
        };
        match (given(&settings.tls_cert), given(&settings.tls_key)) {
            (None, None) => Some(None),
            (Some(certificate), Some(key)) => {
                let certificate = file(self, "--tls-cert", certificate);
                let key = file(self, "--tls-key", key);
                Some(Some(TlsConfig {
                    certificate: certificate?,
                    key: key?,
                }))
            }
            _ => {
                self.require(false, "--tls-cert and --tls-key need each other");
                None
            }
        }
    }

    /// Only a reading without a single complaint counts.
    pub(super) fn finish<T>(self, read: Option<T>) -> Result<T, BadValues> {
        match read {
            Some(value) if self.bad.is_empty() => Ok(value),
            _ => Err(BadValues(self.bad)),
        }
    }
}

fn address(raw: &str) -> Result<SocketAddr, String> {
    raw.parse()
        .map_err(|_| "not an address and port; write it like 127.0.0.1:8080".to_owned())
}

/// One for each processor, as far as that is possible.
fn usual_workers(processors: usize) -> usize {
    processors.min(MOST_WORKERS as usize)
}

/// NUL cannot travel to libpq, and nothing is a server of its own choice: all else it judges itself.
fn database_url(url: &str) -> Result<DatabaseLocation, String> {
    if url.is_empty() {
        return Err("is empty".to_owned());
    }
    if url.contains('\0') {
        return Err("holds a NUL character".to_owned());
    }
    Ok(DatabaseLocation::Url(url.to_owned()))
}

/// An environment variable that is set to nothing counts as not set.
pub(super) fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().map(str::trim).filter(|value| !value.is_empty())
}

/// The parts of a comma-separated list.
fn listed(raw: &str) -> impl Iterator<Item = &str> {
    raw.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn static_dir(raw: &str) -> Result<PathBuf, String> {
    let dir = PathBuf::from(raw);
    if !dir.is_dir() {
        return Err("there is no such directory".to_owned());
    }
    Ok(dir)
}

fn default_data_dir() -> Option<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/oneseat"));
    }
    // The XDG base directory specification ignores a relative path.
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("oneseat"))
}

#[cfg(test)]
mod tests {
    use super::usual_workers;

    #[test]
    fn a_machine_of_more_processors_than_workers_can_be_is_served_by_as_many_as_can_be() {
        assert_eq!([1, 8, 512, 513, 1_024].map(usual_workers), [1, 8, 512, 512, 512]);
    }
}
