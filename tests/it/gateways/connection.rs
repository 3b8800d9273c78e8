//! A client that sends exactly the bytes that it is given.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::Gateway;

/// Exceeded by no answer, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the clients are: another address than the gateway's, which is `127.0.0.1`.
pub const CLIENT: [u8; 4] = [127, 0, 0, 2];

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// An open connection.
pub struct Connection {
    stream: Box<dyn Stream>,
    read: Vec<u8>,
}

impl Connection {
    /// To the gateway, in the clear.
    pub async fn plain(gateway: &Gateway) -> Self {
        Self {
            stream: Box::new(tcp(gateway.address).await),
            read: Vec::new(),
        }
    }

    /// To `seat.example.org` at the gateway.
    pub async fn tls(gateway: &Gateway) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(gateway.certificate.clone()).unwrap();
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("seat.example.org").unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, tcp(gateway.address).await)
            .await
            .unwrap();
        Self {
            stream: Box::new(stream),
            read: Vec::new(),
        }
    }

    pub async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Reads until this text has come, and returns what was read.
    pub async fn read_until(&mut self, end: &str) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.read).into_owned();
            if let Some(at) = text.find(end) {
                return text[..at + end.len()].to_owned();
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await;
            assert_ne!(
                read.expect("nothing comes").unwrap(),
                0,
                "it ended before {end:?}: {text}"
            );
        }
    }

    /// The status of the answer.
    pub async fn status(&mut self) -> u16 {
        let head = self.read_until("\r\n\r\n").await;
        head.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

async fn tcp(address: std::net::SocketAddr) -> tokio::net::TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((CLIENT, 0).into()).unwrap();
    socket.connect(address).await.unwrap()
}
