//! oneseat, built as `oneseat serve` builds it.

use std::net::SocketAddr;

use actix_web::rt;
use anyhow::Result;
use oneseat::app::App;
use oneseat::config::{DatabaseConfig, DatabaseLocation, ServeConfig};

/// Connections to PostgreSQL: the default.
const CONNECTIONS: u32 = 10;

/// Serves until the process ends.
pub(super) async fn serve(url: &str, workers: usize) -> Result<SocketAddr> {
    let mut config = ServeConfig::usual()?;
    config.http.bind = SocketAddr::from(([127, 0, 0, 1], 0));
    config.http.workers = workers;
    // All sign-ins here come from one address.
    config.http.login_rate = None;
    let database = DatabaseConfig {
        location: DatabaseLocation::Url(url.to_owned()),
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
