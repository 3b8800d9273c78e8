//! TLS that oneseat speaks itself.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oneseat::config::TlsConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::{connect, until_closed};
use crate::support::App;

/// A certificate for localhost in two files.
fn certificate(dir: &Path) -> (TlsConfig, reqwest::Certificate) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsConfig {
        certificate: dir.join("cert.pem"),
        key: dir.join("key.pem"),
    };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    (
        files,
        reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap(),
    )
}

/// The answer to a request on a connection of its own.
async fn first_answer(app: &App, trusted: &reqwest::Certificate) -> u16 {
    let https = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([trusted.clone()])
        .build()
        .unwrap();
    let url = format!("https://localhost:{}/healthz", app.address.port());
    https.get(&url).send().await.unwrap().status().as_u16()
}

/// The protocol that a client is told to speak, after it has offered these. `None`: none, or no handshake.
async fn protocol(app: &App, certificate: &Path, offered: &[&str]) -> Option<String> {
    let mut trusted = RootCertStore::empty();
    trusted
        .add(CertificateDer::from_pem_file(certificate).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
    let tcp = TcpStream::connect(app.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .ok()?;
    let spoken = stream.get_ref().1.alpn_protocol()?;
    Some(String::from_utf8(spoken.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_go_on_while_the_files_of_the_certificate_do_not_answer() {
    let dir = tempfile::tempdir().unwrap();
    let (files, trusted) = certificate(dir.path());
    let path = files.certificate.clone();
    let app = App::start_with(|config| config.tls = Some(files)).await;
    assert_eq!(app.visitor().token, None);
    // Opening a pipe blocks until a process opens it for writing, like a file on a file system that has lost
    // its server.
    std::fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut at_once = File::options();
    at_once
        .write(true)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits());
    let deadline = Instant::now() + Duration::from_secs(120);
    let held_up = loop {
        // Succeeds once a process has opened the other end and reads.
        if let Ok(writer) = at_once.open(&path) {
            break writer;
        }
        assert!(Instant::now() < deadline, "nobody reads the certificate again");
        assert_eq!(first_answer(&app, &trusted).await, 200);
    };
    for _ in 0..20 {
        assert_eq!(first_answer(&app, &trusted).await, 200);
    }
    drop(held_up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_certificate_it_speaks_tls_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (files, trusted) = certificate(dir.path());
    let path = files.certificate.clone();
    let app = App::start_with(|config| config.tls = Some(files)).await;
    // Installs the cryptography provider of TLS in this process.
    assert_eq!(app.visitor().token, None);
    assert_eq!(first_answer(&app, &trusted).await, 200);
    for (offered, spoken) in [(&["h2", "http/1.1"][..], Some("http/1.1")), (&["h2"], None)] {
        assert_eq!(
            protocol(&app, &path, offered).await.as_deref(),
            spoken,
            "{offered:?}"
        );
    }
    // In the clear: no answer. Half a handshake: cut off.
    let address = app.address;
    let answers = tokio::task::spawn_blocking(move || {
        let mut clear = connect(address);
        clear
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let mut half = connect(address);
        half.write_all(&[22, 3, 1]).unwrap();
        [until_closed(&mut clear), until_closed(&mut half)]
    });
    for answer in answers.await.unwrap() {
        assert!(!answer.contains("HTTP/1.1"), "{answer}");
    }
}
