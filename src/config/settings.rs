//! What clap collects: every value still as text, so that all can be judged together.

use clap::Args;

/// Where the data is. Taken by every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database settings")]
pub struct DatabaseSettings {
    /// PostgreSQL 13 or later; without it oneseat runs a private PostgreSQL of its own
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,

    /// File with that URL in it, such as a secret of a container or a credential of systemd
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<String>,

    /// Directory of the private PostgreSQL [default: /var/lib/oneseat for root, else the user's
    /// data directory]
    #[arg(long, env = "ONESEAT_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<String>,

    /// Connections to PostgreSQL; one or two of them only validate tokens
    #[arg(long, env = "ONESEAT_DB_POOL_SIZE", value_name = "N", default_value = "10")]
    pub db_pool_size: String,
}

/// How to serve, and how sessions live. Taken by `serve`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server settings")]
pub struct ServeSettings {
    /// Address and port to listen on
    #[arg(
        long,
        env = "ONESEAT_BIND",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:8080"
    )]
    pub bind: String,

    /// Threads that serve HTTP [default: one for each processor]
    #[arg(long, env = "ONESEAT_WORKERS", value_name = "N")]
    pub workers: Option<String>,

    /// The address people use, such as `https://seat.example.org`; https turns HSTS on
    #[arg(long, env = "ONESEAT_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,

    /// Directory of files that are served under `/static`, before and beside those that the program carries [default: none]
    #[arg(long, env = "ONESEAT_STATIC_DIR", value_name = "DIR")]
    pub static_dir: Option<String>,

    /// Address and port on which a Prometheus finds `/metrics` [default: nowhere]
    #[arg(long, env = "ONESEAT_METRICS_BIND", value_name = "ADDRESS:PORT")]
    pub metrics_bind: Option<String>,

    /// Networks of the proxies whose X-Forwarded-For counts, comma-separated
    #[arg(
        long,
        env = "ONESEAT_TRUSTED_PROXIES",
        value_name = "CIDRS",
        default_value = "",
        hide_default_value = true
    )]
    pub trusted_proxies: String,

    /// Certificate chain in PEM form: oneseat speaks TLS itself
    #[arg(long, env = "ONESEAT_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<String>,

    /// Private key of that certificate in PEM form
    #[arg(long, env = "ONESEAT_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<String>,

    /// Serve other machines in the clear, without TLS and without a trusted proxy that speaks it
    #[arg(long, env = "ONESEAT_INSECURE_HTTP")]
    pub insecure_http: bool,

    /// Origins whose pages may use the API, such as `https://app.example.org`, comma-separated
    #[arg(
        long,
        env = "ONESEAT_CORS_ORIGINS",
        value_name = "ORIGINS",
        default_value = "",
        hide_default_value = true
    )]
    pub cors_origins: String,

    /// SMTP server that takes the mails, such as `smtps://user:password@mail.example.org`, with TLS unless it is on this
    /// machine; with a private PostgreSQL and without it, they are printed if standard output is a terminal
    #[arg(long, env = "ONESEAT_SMTP_URL", value_name = "URL", hide_env_values = true)]
    pub smtp_url: Option<String>,

    /// Sender of the mails, such as `oneseat <seat@example.org>`
    #[arg(long, env = "ONESEAT_MAIL_FROM", value_name = "ADDRESS")]
    pub mail_from: Option<String>,

    /// Mail people when their seat is taken from an address and browser never seen for them: on or off [default: on where
    /// mail is sent]
    #[arg(long, env = "ONESEAT_SIGN_IN_MAIL", value_name = "on|off")]
    pub sign_in_mail: Option<String>,

    /// Sign-ins and other tries of passwords or links a minute from one address (IPv6: one /64), at each instance; `off`
    /// for no limit
    #[arg(long, env = "ONESEAT_LOGIN_RATE", value_name = "N", default_value = "60")]
    pub login_rate: String,

    /// Told to stop, answer `503` to `/readyz` and go on with the rest for this long
    #[arg(
        long,
        env = "ONESEAT_STOP_DELAY",
        value_name = "DURATION",
        default_value = "0s"
    )]
    pub stop_delay: String,

    /// Most connections at a time; those beyond wait to be accepted. One network (a /24 of IPv4, a /48 of IPv6) has at most
    /// four fifths of them, unless it is a trusted proxy's
    #[arg(
        long,
        env = "ONESEAT_MAX_CONNECTIONS",
        value_name = "N",
        default_value = "20000"
    )]
    pub max_connections: String,

    /// A session ends after this long without activity
    #[arg(
        long,
        env = "ONESEAT_IDLE_TIMEOUT",
        value_name = "DURATION",
        default_value = "2h"
    )]
    pub idle_timeout: String,

    /// Activity is written down at most this often
    #[arg(
        long,
        env = "ONESEAT_ACTIVITY_THRESHOLD",
        value_name = "DURATION",
        default_value = "15m"
    )]
    pub activity_threshold: String,

    /// A session ends after this long, however active
    #[arg(
        long,
        env = "ONESEAT_MAX_LIFETIME",
        value_name = "DURATION",
        default_value = "12h"
    )]
    pub max_lifetime: String,

    /// Pause between two sweeps of expired sessions
    #[arg(
        long,
        env = "ONESEAT_SWEEP_INTERVAL",
        value_name = "DURATION",
        default_value = "15m"
    )]
    pub sweep_interval: String,

    /// Wrong passwords in a row that lock an address
    #[arg(
        long,
        env = "ONESEAT_MAX_FAILED_ATTEMPTS",
        value_name = "N",
        default_value = "5"
    )]
    pub max_failed_attempts: String,

    /// How long an address stays locked
    #[arg(long, env = "ONESEAT_LOCKOUT", value_name = "DURATION", default_value = "15m")]
    pub lockout: String,

    /// How long the past is kept.
    #[command(flatten)]
    pub history: HistorySettings,

    /// Most event streams at a time, over all sessions
    #[arg(
        long,
        env = "ONESEAT_MAX_EVENT_STREAMS",
        value_name = "N",
        default_value = "10000"
    )]
    pub max_event_streams: String,
}

/// How long the past is kept. Taken by `serve` and `sweep`.
#[derive(Args, Clone, Debug)]
pub struct HistorySettings {
    /// How long it is kept what became of a session
    #[arg(
        long,
        env = "ONESEAT_HISTORY_RETENTION",
        value_name = "DURATION",
        default_value = "30d"
    )]
    pub history_retention: String,
}
