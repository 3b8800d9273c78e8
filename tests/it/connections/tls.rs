//! TLS of its own.

use std::io::Write;

use oneseat::config::TlsConfig;

use super::{connect, until_closed};
use crate::support::App;

/// A certificate for localhost in two files.
fn certificate(dir: &std::path::Path) -> (TlsConfig, reqwest::Certificate) {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_certificate_it_speaks_tls_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (files, trusted) = certificate(dir.path());
    let app = App::start_with(|config| config.tls = Some(files)).await;
    // Brings what TLS needs into the process.
    assert_eq!(app.visitor().token, None);
    let https = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([trusted])
        .build()
        .unwrap();
    let url = format!("https://localhost:{}/healthz", app.address.port());
    let answer = https.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
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
