//! Which proxies are trusted.

use clap::Args;
use ipnetwork::IpNetwork;

use super::reader::{Reader, Wrong, list};

/// Which proxies are trusted. Taken by `serve`.
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

/// Reads the networks of the trusted proxies.
pub(super) fn trusted(reader: &mut Reader, settings: &ProxySettings) -> Option<Vec<IpNetwork>> {
    reader.read("--trusted-proxies", &settings.trusted_proxies, |raw| {
        list(raw, |raw| {
            raw.parse().map(canonical).map_err(|_| {
                Wrong::new(
                    format!("`{raw}` is not a network"),
                    "write it like 10.0.0.0/8 or ::1",
                )
            })
        })
    })
}

/// An IPv4-mapped network as IPv4, like the addresses that it is compared with.
fn canonical(network: IpNetwork) -> IpNetwork {
    let mapped = match network {
        IpNetwork::V6(v6) => v6.ip().to_ipv4_mapped().zip(v6.prefix().checked_sub(96)),
        IpNetwork::V4(_) => None,
    };
    mapped
        .and_then(|(v4, prefix)| IpNetwork::new(v4.into(), prefix).ok())
        .unwrap_or(network)
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    #[test]
    fn every_network_that_is_wrong_is_named() {
        let proxies = "10.0.0.0/99,10.1.0.0/16,proxy.example";
        let bad = read(&["--database-url", "postgres://", "--trusted-proxies", proxies]).unwrap_err();
        let words = "`10.0.0.0/99` is not a network, `proxy.example` is not a network; write it like 10.0.0.0/8 or ::1";
        assert!(bad.to_string().ends_with(words), "{bad}");
    }

    #[test]
    fn a_network_of_ipv4_in_disguise_is_the_network_that_it_means() {
        let proxies = "::ffff:127.0.0.2/128, ::ffff:10.0.0.0/104,10.1.0.0/16, 2001:db8::/32, ::/0";
        let (_, config) = read(&["--database-url", "postgres://", "--trusted-proxies", proxies]).unwrap();
        let read: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(
            read,
            [
                "127.0.0.2/32",
                "10.0.0.0/8",
                "10.1.0.0/16",
                "2001:db8::/32",
                "::/0"
            ]
        );
    }
}
