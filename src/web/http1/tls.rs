//! TLS for an installation without a proxy: TLS 1.2 and 1.3, HTTP/1.1.
//!
//! The certificate is read again when its files change, so that its renewal needs no restart. A separate
//! thread reads it: if the file system hangs, handshakes go on with the certificate that was read last.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::thread;
use std::time::{Duration, SystemTime};

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};

use crate::config::TlsConfig;

/// Pause between two looks at the files.
const CHECK: Duration = Duration::from_secs(10);
/// A look that takes longer is logged, because the certificate is not renewed meanwhile.
const SLOW_LOOK: Duration = Duration::from_secs(30);

/// Makes the acceptor that turns connections into TLS.
///
/// # Errors
/// When the files cannot be read or do not belong together, in words.
pub(in crate::web) fn acceptor(files: &TlsConfig) -> io::Result<TlsAcceptor> {
    let provider = Arc::new(ring::default_provider());
    let certificate = Certificate::read(files.clone(), provider.clone(), CHECK)?;
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
    current: Arc<Current>,
    /// Dropping it ends the thread that looks.
    _looking: Sender<()>,
}

/// Locked only for a copy, by handshakes and by the thread that replaces it.
type Current = RwLock<Arc<CertifiedKey>>;

/// When the certificate and the key were last written.
type Written = [Option<SystemTime>; 2];

impl Certificate {
    fn read(files: TlsConfig, provider: Arc<CryptoProvider>, every: Duration) -> io::Result<Self> {
        let (mut reader, current) = Reader::start(files, provider)?;
        let (looking, ended) = channel();
        thread::Builder::new()
            .name("certificate".to_owned())
            .spawn(move || look_again(|| reader.look(), every, &ended))?;
        Ok(Self {
            current,
            _looking: looking,
        })
    }

    fn current(&self) -> Arc<CertifiedKey> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

/// Looks again and again until the certificate is dropped. A look that fails is repeated at the next round.
fn look_again(mut look: impl FnMut() + Send, every: Duration, ended: &Receiver<()>) {
    while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        if let Err(error) = look_once(&mut look) {
            log::error!(
                "the TLS certificate could not be checked again: {error}; the one read before stays in use"
            );
        }
    }
}

/// Looks in a separate thread, because a look may panic. Logs it when the look takes too long.
fn look_once(look: &mut (impl FnMut() + Send)) -> io::Result<()> {
    let (looking, looked) = channel::<()>();
    thread::scope(|scope| {
        let reader = thread::Builder::new()
            .name("certificate reader".to_owned())
            .spawn_scoped(scope, move || {
                // Dropped when this thread ends, however it ends.
                let _looking = looking;
                look();
            })?;
        if looked.recv_timeout(SLOW_LOOK) == Err(RecvTimeoutError::Timeout) {
            log::error!(
                "the TLS certificate cannot be read again: its files do not answer; the one read before serves on"
            );
        }
        reader.join().map_err(|_| io::Error::other("its reader has died"))
    })
}

/// Reads the files when they have changed.
struct Reader {
    files: TlsConfig,
    provider: Arc<CryptoProvider>,
    written: Written,
    current: Weak<Current>,
}

impl Reader {
    /// Reads the files for the first time.
    fn start(files: TlsConfig, provider: Arc<CryptoProvider>) -> io::Result<(Self, Arc<Current>)> {
        // Before the content, so that a change in between is read again.
        let written = written(&files);
        let current = Arc::new(RwLock::new(Arc::new(load(&files, &provider)?)));
        let reader = Self {
            files,
            provider,
            written,
            current: Arc::downgrade(&current),
        };
        Ok((reader, current))
    }

    fn look(&mut self) {
        let written = written(&self.files);
        if written == self.written {
            return;
        }
        match load(&self.files, &self.provider) {
            Ok(key) => {
                let Some(current) = self.current.upgrade() else {
                    return;
                };
                *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                self.written = written;
                log::info!("read the TLS certificate again, because its files changed");
            }
            // The files may be half written: the old certificate serves until the new one is whole.
            Err(error) => log::error!("the changed TLS certificate is not used: {error}"),
        }
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
        .map_err(|error| wrong(&files.certificate, &in_words(&error)))?;
    if chain.is_empty() {
        return Err(wrong(&files.certificate, &"it holds no certificate in PEM form"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| match error {
        pem::Error::NoItemsFound if is_encrypted(&files.key) => wrong(
            &files.key,
            &"its private key is encrypted; write it without a passphrase, as with openssl pkey",
        ),
        pem::Error::NoItemsFound => wrong(&files.key, &"it holds no private key in PEM form"),
        error => wrong(&files.key, &in_words(&error)),
    })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            let words = format!(
                "it is not the key of the certificate in {}",
                files.certificate.display()
            );
            wrong(&files.key, &words)
        }
        error => wrong(&files.key, &error),
    })
}

fn in_words(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}

/// Whether the file holds an encrypted private key (RFC 7468 11), which cannot be read here.
fn is_encrypted(file: &Path) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| text.contains("ENCRYPTED"))
}

#[cfg(test)]
mod tests;
