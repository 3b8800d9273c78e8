//! Checks whether a server answers, with a request like a client's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use actix_web::rt::time::sleep;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme, crypto};

/// How long to wait for a first answer. A server that has not answered by then will not.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Time for one try, whose connection may be lost. It is longer than a silent client keeps its place.
const TRY: Duration = Duration::from_secs(10);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// How every answer begins; its status does not matter.
const ANSWER: &[u8] = b"HTTP/1.1 ";

/// Checks one server, which listens in this process.
pub(crate) struct SelfCheck {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

impl SelfCheck {
    /// Checks a server in the clear.
    pub(crate) fn http(address: SocketAddr) -> Self {
        Self {
            address: reachable(address),
            tls: None,
        }
    }

    /// Checks a server with TLS.
    ///
    /// # Errors
    /// When TLS cannot be set up here.
    pub(in crate::web) fn https(address: SocketAddr) -> io::Result<Self> {
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(OwnCertificate(provider)))
            .with_no_client_auth();
        Ok(Self {
            tls: Some(TlsConnector::from(Arc::new(config))),
            ..Self::http(address)
        })
    }

    /// Waits for an answer.
    ///
    /// # Errors
    /// When there is none in time.
    pub(in crate::web) async fn answered(&self) -> io::Result<()> {
        let mut last = io::Error::from(io::ErrorKind::TimedOut);
        let asking = async {
            while let Err(error) = self.try_once(TRY).await {
                last = error;
                sleep(PAUSE).await;
            }
        };
        timeout(TIMEOUT, asking).await.map_err(|_| {
            let address = self.address;
            io::Error::other(format!("the server does not answer itself on {address}: {last}"))
        })
    }

    /// Makes a connection and closes it.
    pub(in crate::web) async fn knock(&self) {
        let _ = timeout(PAUSE, TcpStream::connect(self.address)).await;
        sleep(PAUSE).await;
    }

    async fn try_once(&self, patience: Duration) -> io::Result<()> {
        timeout(patience, self.ask()).await?
    }

    async fn ask(&self) -> io::Result<()> {
        let tcp = TcpStream::connect(self.address).await?;
        match &self.tls {
            None => exchange(tcp).await,
            Some(tls) => {
                let name = ServerName::IpAddress(self.address.ip().into());
                exchange(tls.connect(name, tcp).await?).await
            }
        }
    }
}

async fn exchange(mut io: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    io.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = [0; ANSWER.len()];
    io.read_exact(&mut answer).await?;
    if answer == ANSWER {
        Ok(())
    } else {
        Err(io::Error::other("the answer is not HTTP"))
    }
}

/// The address at which this machine reaches a listening socket.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        _ => return address,
    };
    SocketAddr::new(ip, address.port())
}

/// Accepts any certificate: our own port is known, nothing secret is sent, and whether clients trust the
/// certificate is not the question.
#[derive(Debug)]
struct OwnCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for OwnCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.0.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.0.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[actix_web::test]
    async fn a_try_that_hangs_is_given_up() {
        // Takes the connection, and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let check = SelfCheck::http(silent.local_addr().unwrap());
        let error = check.try_once(PAUSE).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn what_listens_everywhere_is_reached_on_this_machine() {
        for (bind, reached) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("127.0.0.1:80", "127.0.0.1:80"),
        ] {
            assert_eq!(reachable(bind.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
