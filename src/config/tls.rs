//! The server's own TLS, and where it may serve without.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::reader::{Reader, given};

/// Settings of TLS. Taken by `serve`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "TLS")]
pub struct TlsSettings {
    /// Certificate chain in PEM form: oneseat speaks TLS itself
    #[arg(long, env = "ONESEAT_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<String>,

    /// Private key of that certificate in PEM form
    #[arg(long, env = "ONESEAT_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<String>,

    /// Serve other machines in the clear, without TLS and without a trusted proxy that speaks it
    #[arg(long, env = "ONESEAT_INSECURE_HTTP")]
    pub insecure_http: bool,
}

/// A certificate chain and its private key, both in PEM form.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key, as PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

impl TlsConfig {
    /// Reads both files, or neither.
    pub(super) fn read(reader: &mut Reader, settings: &TlsSettings) -> Option<Option<Self>> {
        let file = |reader: &mut Reader, flag, raw| {
            reader.read(flag, raw, |raw| match File::open(raw) {
                Ok(_) => Ok(PathBuf::from(raw)),
                Err(error) => Err(format!("cannot be read: {error}")),
            })
        };
        let certificate = given(&settings.tls_cert).map(|raw| file(reader, "--tls-cert", raw));
        let key = given(&settings.tls_key).map(|raw| file(reader, "--tls-key", raw));
        match (certificate, key) {
            (None, None) => Some(None),
            (Some(certificate), Some(key)) => Some(Some(Self {
                certificate: certificate?,
                key: key?,
            })),
            _ => {
                reader.require(false, "--tls-cert and --tls-key need each other");
                None
            }
        }
    }
}

/// Refuses an address at which passwords would come from other machines in the clear, unless the operator allows it.
pub(super) fn require_encryption(
    reader: &mut Reader,
    settings: &TlsSettings,
    bind: SocketAddr,
    has_tls: bool,
    has_proxies: bool,
) {
    reader.require(
        bind.ip().to_canonical().is_loopback() || has_tls || has_proxies || settings.insecure_http,
        "--bind names an address that other machines reach, and passwords would travel in the clear: give \
         --tls-cert and --tls-key, or --trusted-proxies for a proxy in front that speaks TLS, or --insecure-http",
    );
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

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
}
