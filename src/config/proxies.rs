//! Which proxies are believed.

use clap::Args;
use ipnetwork::IpNetwork;

use super::reader::{Reader, listed};

/// Which proxies are believed. Taken by `serve`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Proxies")]
pub struct ProxySettings {
    /// Networks of the proxies whose X-Forwarded-For counts, comma-separated
    #[arg(
        long,
        env = "ONESEAT_TRUSTED_PROXIES",
        value_name = "CIDRS",
        default_value = "",
        hide_default_value = true
    )]
    pub trusted_proxies: String,
}

/// The networks whose word counts.
pub(super) fn trusted(reader: &mut Reader, settings: &ProxySettings) -> Option<Vec<IpNetwork>> {
    reader.read("--trusted-proxies", &settings.trusted_proxies, |raw| {
        let network = |raw: &str| {
            raw.parse()
                .map_err(|_| format!("`{raw}` is not a network; write it like 10.0.0.0/8 or ::1"))
        };
        listed(raw).map(network).collect()
    })
}
