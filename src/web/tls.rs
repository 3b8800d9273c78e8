//! TLS for an installation without a proxy: TLS 1.2 and 1.3, HTTP/1.1.
//!
//! The certificate is read again when its files change, so that its renewal needs no restart.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use crate::config::TlsConfig;

/// The files are looked at no more often than this.
const CHECK: Duration = Duration::from_secs(10);

/// What makes TLS of a connection.
///
/// # Errors
/// When the files cannot be read or do not belong together, in words.
pub(super) fn acceptor(files: &TlsConfig) -> io::Result<TlsAcceptor> {
    let provider = Arc::new(ring::default_provider());
    let certificate = Certificate::read(files.clone(), provider.clone())?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificate));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The certificate in the files, as of the last look.
#[derive(Debug)]
struct Certificate {
    files: TlsConfig,
    provider: Arc<CryptoProvider>,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    written: Written,
    looked_at: Instant,
}

/// When the certificate and the key were last written.
type Written = [Option<SystemTime>; 2];

impl Certificate {
    fn read(files: TlsConfig, provider: Arc<CryptoProvider>) -> io::Result<Self> {
        let written = written(&files);
        let key = Arc::new(load(&files, &provider)?);
        Ok(Self {
            files,
            provider,
            current: Mutex::new(Current {
                key,
                written,
                looked_at: Instant::now(),
            }),
        })
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl Certificate {
    fn current(&self) -> Arc<CertifiedKey> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked_at.elapsed() >= CHECK {
            current.looked_at = Instant::now();
            let written = written(&self.files);
            if written != current.written {
                match load(&self.files, &self.provider) {
                    Ok(key) => {
                        log::info!("read the TLS certificate again, because its files changed");
                        (current.key, current.written) = (Arc::new(key), written);
                    }
                    // In the middle of being written, perhaps: the old one serves until the new one is whole.
                    Err(error) => log::error!("the changed TLS certificate is not used: {error}"),
                }
            }
        }
        current.key.clone()
    }
}

fn written(files: &TlsConfig) -> Written {
    [&files.certificate, &files.key].map(|file| file.metadata().and_then(|file| file.modified()).ok())
}

fn load(files: &TlsConfig, provider: &CryptoProvider) -> io::Result<CertifiedKey> {
    let wrong = |file: &Path, error: &dyn std::fmt::Display| {
        io::Error::other(format!("cannot use {}: {error}", file.display()))
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(&files.certificate, &error))?;
    if chain.is_empty() {
        return Err(wrong(&files.certificate, &"it holds no certificate in PEM form"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| match error {
        pem::Error::NoItemsFound => wrong(&files.key, &"it holds no private key in PEM form"),
        error => wrong(&files.key, &error),
    })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| wrong(&files.key, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a new certificate for this name, so many seconds after the one before.
    fn write(files: &TlsConfig, name: &str, seconds: u64) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for file in [&files.certificate, &files.key] {
            std::fs::File::options()
                .write(true)
                .open(file)
                .unwrap()
                .set_modified(at)
                .unwrap();
        }
    }

    /// As if the last look had been long ago.
    fn look_again(certificate: &Certificate) -> Vec<CertificateDer<'static>> {
        certificate.current.lock().unwrap().looked_at -= CHECK;
        certificate.current().cert.clone()
    }

    #[test]
    fn a_renewed_certificate_is_used_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let files = TlsConfig {
            certificate: dir.path().join("cert.pem"),
            key: dir.path().join("key.pem"),
        };
        write(&files, "one.example", 1);
        let certificate = Certificate::read(files.clone(), Arc::new(ring::default_provider())).unwrap();
        let one = certificate.current().cert.clone();
        assert_eq!(look_again(&certificate), one);
        write(&files, "two.example", 2);
        assert_eq!(
            certificate.current().cert,
            one,
            "not looked at more often than need be"
        );
        let two = look_again(&certificate);
        assert_ne!(two, one);
        std::fs::write(&files.key, "half a fi").unwrap();
        assert_eq!(look_again(&certificate), two);
        write(&files, "three.example", 3);
        assert_ne!(look_again(&certificate), two);
    }

    #[test]
    fn what_is_no_certificate_is_refused_in_words() {
        let files = TlsConfig {
            certificate: concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into(),
            key: concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into(),
        };
        let error = acceptor(&files).map(|_| ()).unwrap_err().to_string();
        assert!(
            error.contains("Cargo.toml") && error.contains("no certificate"),
            "{error}"
        );
    }
}
