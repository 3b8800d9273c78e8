//! Where and how HTTP is served.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::origin::{origin, public_url};
use super::reader::{Reader, given, list};

/// Most workers that the server crate takes.
const MOST_WORKERS: u32 = 512;

/// Where and how HTTP is served. Taken by `serve`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "HTTP")]
pub struct HttpSettings {
    /// Address and port to listen on
    #[arg(long, env = "ONESEAT_BIND", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub bind: String,

    /// Threads that serve HTTP [default: one for each processor]
    #[arg(long, env = "ONESEAT_WORKERS", value_name = "N")]
    pub workers: Option<String>,

    /// The address people use, such as `https://seat.example.org`; https turns HSTS on
    #[arg(long, env = "ONESEAT_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,

    /// Directory of files to serve under `/static`, in place of or in addition to the program's own [default:
    /// none]
    #[arg(long, env = "ONESEAT_STATIC_DIR", value_name = "DIR")]
    pub static_dir: Option<String>,

    /// Address and port on which a Prometheus finds `/metrics` [default: nowhere]
    #[arg(long, env = "ONESEAT_METRICS_BIND", value_name = "ADDRESS:PORT")]
    pub metrics_bind: Option<String>,

    /// Origins whose pages may use the API, such as `https://app.example.org`, comma-separated
    #[arg(
        long,
        env = "ONESEAT_CORS_ORIGINS",
        value_name = "ORIGINS",
        default_value = "",
        hide_default_value = true
    )]
    pub cors_origins: String,

    /// Sign-ins and other tries of passwords or links a minute from one address (IPv6: one /64), at each
    /// instance; `off` for no limit
    #[arg(long, env = "ONESEAT_LOGIN_RATE", value_name = "N", default_value = "60")]
    pub login_rate: String,

    /// When told to stop, answer `503` to `/readyz` and serve the rest for this long
    #[arg(long, env = "ONESEAT_STOP_DELAY", value_name = "DURATION", default_value = "0s")]
    pub stop_delay: String,

    /// Most connections at a time; those beyond wait to be accepted. One network (a /24 of IPv4, a /48 of
    /// IPv6) has at most four fifths of them, unless it is a trusted proxy's
    #[arg(long, env = "ONESEAT_MAX_CONNECTIONS", value_name = "N", default_value = "20000")]
    pub max_connections: String,

    /// Most event streams at a time, over all sessions
    #[arg(long, env = "ONESEAT_MAX_EVENT_STREAMS", value_name = "N", default_value = "10000")]
    pub max_event_streams: String,
}

/// Where and how HTTP is served.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Port 0 takes any free port.
    pub bind: SocketAddr,
    /// Threads that serve: 1 to 512.
    pub workers: usize,
    /// `http://` or `https://` and a host in its ASCII form, without a trailing slash.
    pub public_url: Option<String>,
    /// A directory whose files replace the stylesheets, scripts and images that the program carries, or come in
    /// addition.
    pub static_dir: Option<PathBuf>,
    /// Where metrics are exported, if at all.
    pub metrics_bind: Option<SocketAddr>,
    /// Origins whose pages may use the API, as browsers write them. Empty: only our own.
    pub cors_origins: Vec<String>,
    /// Sign-ins a minute from one origin. `None`: no limit.
    pub login_rate: Option<NonZeroU32>,
    /// How long the server goes on, but is not ready, after it was told to stop: until every load balancer has noticed.
    pub stop_delay: Duration,
    /// Most connections at a time. Further ones wait to be accepted.
    pub max_connections: usize,
    /// Most event streams at a time.
    pub max_event_streams: usize,
}

impl HttpConfig {
    pub(super) fn read(reader: &mut Reader, settings: &HttpSettings) -> Option<Self> {
        let bind = reader.read("--bind", &settings.bind, address);
        let workers = match given(&settings.workers) {
            Some(raw) => reader.count("--workers", raw, 1..=MOST_WORKERS),
            None => Some(usual_workers(
                std::thread::available_parallelism().map_or(1, usize::from),
            )),
        };
        let public_url = reader.read_given("--public-url", &settings.public_url, public_url);
        let static_dir = reader.read_given("--static-dir", &settings.static_dir, static_dir);
        let metrics_bind = reader.read_given("--metrics-bind", &settings.metrics_bind, address);
        let cors_origins = reader.read("--cors-origins", &settings.cors_origins, |raw| list(raw, origin));
        let login_rate = match settings.login_rate.trim() {
            "off" => Some(None),
            raw => reader.read("--login-rate", raw, |raw| match raw.parse::<NonZeroU32>() {
                Ok(rate) if rate.get() <= 1_000_000 => Ok(Some(rate)),
                _ => Err("must be a whole number from 1 to 1000000, or off".to_owned()),
            }),
        };
        let stop_delay = match settings.stop_delay.trim() {
            "0" | "0s" => Some(Duration::ZERO),
            raw => reader.duration("--stop-delay", raw),
        };
        let connections = reader.count("--max-connections", &settings.max_connections, 1..=1_000_000);
        let streams = reader.count("--max-event-streams", &settings.max_event_streams, 1..=1_000_000);
        Some(Self {
            bind: bind?,
            workers: workers? as usize,
            public_url: public_url?,
            static_dir: static_dir?,
            metrics_bind: metrics_bind?,
            cors_origins: cors_origins?,
            login_rate: login_rate?,
            stop_delay: stop_delay?,
            max_connections: connections? as usize,
            max_event_streams: streams? as usize,
        })
    }
}

fn address(raw: &str) -> Result<SocketAddr, String> {
    raw.parse()
        .map_err(|_| "not an address and port; write it like 127.0.0.1:8080".to_owned())
}

/// The default number of workers: one for each processor, up to the maximum.
fn usual_workers(processors: usize) -> u32 {
    u32::try_from(processors).map_or(MOST_WORKERS, |processors| processors.min(MOST_WORKERS))
}

fn static_dir(raw: &str) -> Result<PathBuf, String> {
    let dir = PathBuf::from(raw);
    if !dir.is_dir() {
        return Err("there is no such directory".to_owned());
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    #[test]
    fn a_machine_of_more_processors_than_workers_can_be_is_served_by_as_many_as_can_be() {
        assert_eq!([1, 8, 512, 513, 1_024].map(usual_workers), [1, 8, 512, 512, 512]);
    }

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        let origins = "https://App.example.org/, https://bücher.example,https://b.example:443";
        let (_, config) = read(&["--cors-origins", origins]).unwrap();
        assert_eq!(
            config.http.cors_origins,
            [
                "https://app.example.org",
                "https://xn--bcher-kva.example",
                "https://b.example"
            ]
        );
        let bad = read(&[
            "--cors-origins",
            "https://*.a.example,https://b.example,c.example",
        ])
        .unwrap_err();
        assert!(
            bad.to_string().ends_with(
                "`https://*.a.example` is not an origin, `c.example` is not an origin; write it like https://app.example.org"
            ),
            "{bad}"
        );
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
    fn a_login_rate_may_be_off() {
        let rate = |raw| read(&["--login-rate", raw]).map(|(_, config)| config.http.login_rate);
        assert_eq!(rate("off"), Ok(None));
        assert_eq!(rate("7"), Ok(NonZeroU32::new(7)));
        assert!(rate("0").is_err() && rate("many").is_err());
    }
}
