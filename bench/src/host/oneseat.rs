//! oneseat as `oneseat serve` puts it together.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::rt;
use anyhow::{Result, anyhow};
use oneseat::auth::{Auth, Validator};
use oneseat::config::{Policy, ServeConfig};
use oneseat::db::Database;
use oneseat::sessions::listener::Listener;
use oneseat::sessions::watchers::Watchers;
use oneseat::users::Hasher;
use oneseat::web::Server;

/// Its defaults, as is all below that is not said to differ.
const CONNECTIONS: u32 = 10;
const VALIDATORS: usize = 2;
const STREAMS: usize = 10_000;
const MAX_CONNECTIONS: usize = 20_000;
const SWEEP_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// Serves until the process ends.
pub(super) fn serve(url: &str, workers: usize) -> Result<SocketAddr> {
    let config = ServeConfig {
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        workers,
        public_url: None,
        static_dir: None,
        metrics_bind: None,
        mail: None,
        tls: None,
        cors_origins: Vec::new(),
        // All who sign in here do so from one address.
        login_rate: None,
        stop_delay: Duration::ZERO,
        max_connections: MAX_CONNECTIONS,
        trusted_proxies: Vec::new(),
        policy: Policy::default(),
        max_event_streams: STREAMS,
        sweep_interval: SWEEP_INTERVAL,
    };
    let watchers = Watchers::new(STREAMS);
    let auth = auth(url, &config, watchers.clone(), workers)?;
    let listener = Listener::start(url.to_owned(), watchers)?;
    let server = Server::bind(config)?;
    let address = server.address()?;
    rt::spawn(async move {
        let _listener = listener;
        server.run_until(auth, std::future::pending()).await
    });
    Ok(address)
}

fn auth(url: &str, config: &ServeConfig, watchers: Watchers, hashers: usize) -> Result<Auth> {
    let db = Database::connect(url, CONNECTIONS)?;
    let hasher = Hasher::start(hashers).map_err(|error| anyhow!("{error}"))?;
    let validator = Validator::start(&db, VALIDATORS, config.policy.sessions)?;
    Ok(Auth::new(db, hasher, validator, watchers, config.policy))
}
