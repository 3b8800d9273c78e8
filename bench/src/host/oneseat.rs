//! oneseat, built as `oneseat serve` builds it.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::rt;
use anyhow::Result;
use oneseat::app::App;
use oneseat::config::{DatabaseConfig, DatabaseLocation, ServeConfig};

use crate::options;

/// Connections to PostgreSQL: the default.
const CONNECTIONS: u32 = 10;

/// Longer than any run, so that no measurement meets a session whose activity is due to be written.
const ACTIVITY_THRESHOLD: Duration = Duration::from_secs(6 * 60 * 60);
const IDLE_TIMEOUT: Duration = Duration::from_secs(12 * 60 * 60);
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Serves until the process ends.
pub(super) async fn serve(options: &options::Host, workers: usize) -> Result<SocketAddr> {
    let mut config = ServeConfig::usual()?;
    config.http.bind = SocketAddr::from(([127, 0, 0, 1], 0));
    config.http.workers = workers;
    // All sign-ins here come from one address.
    config.http.login_rate = None;
    config.policy.sessions.activity_threshold = ACTIVITY_THRESHOLD;
    config.policy.sessions.idle_timeout = IDLE_TIMEOUT;
    config.policy.sessions.max_lifetime = MAX_LIFETIME;
    if options.strict {
        config.memory.lease = Duration::ZERO;
    }
    if let Some(capacity) = options.capacity {
        config.memory.capacity = capacity;
    }
    let database = DatabaseConfig {
        location: DatabaseLocation::Url(options.database_url.clone()),
        pool_size: CONNECTIONS,
    };
    let app = App::build(database, config).await?;
    let address = app.address();
    rt::spawn(async {
        if let Err(error) = app.run_until(std::future::pending()).await {
            eprintln!("oneseat cannot serve: {error}");
            std::process::exit(1);
        }
    });
    Ok(address)
}
