//! The metrics that a Prometheus scrapes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use oneseat::mail::Kind;
use oneseat::sessions::EndReason;

use crate::support::{Answer, Client, EventStream, Program, eventually};

/// A family's name and its samples, as the Prometheus client library for Python reads them.
pub fn read_by_a_client_library(text: &str) -> BTreeMap<String, f64> {
    let script = "import sys; from prometheus_client.parser import text_string_to_metric_families as read
for family in read(sys.stdin.read()):
    for sample in family.samples:
        print(sample.name + ''.join(' ' + v for k, v in sorted(sample.labels.items())), sample.value, sep='\\t')";
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is missing: script/test installs it");
    python.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "it does not parse: {text}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let (name, value) = line.split_once('\t').unwrap();
            (name.to_owned(), value.parse().unwrap_or(f64::NAN))
        })
        .collect()
}

#[tokio::test]
async fn a_scrape_tells_what_happened_and_parses() {
    // Nothing is answered from memory.
    let (program, _dir) = Program::alone(&["--metrics-bind", "127.0.0.1:0", "--validation-lease", "0s"]);
    let address = program.metrics_address.expect("it says where the metrics are");
    let visitor = program.visitor();
    // Counters of events that have not happened yet exist, too.
    let told = read_by_a_client_library(&Client::new(address).get("/metrics").await.text);
    let reasons = EndReason::ALL.map(|reason| format!("oneseat_sessions_ended_total {reason}"));
    let mails = ["sent", "postponed", "given_up"]
        .iter()
        .flat_map(|outcome| Kind::ALL.map(|kind| format!("oneseat_mails_total {kind} {outcome}")));
    let others = [
        "oneseat_sign_ins_total success",
        "oneseat_sign_ins_total failure",
        "oneseat_validations_total memory",
        "oneseat_validations_total database",
        "oneseat_validation_leases_lost_total",
        "oneseat_connections_refused_total",
        "oneseat_tls_handshakes_failed_total",
        "oneseat_swept_rows_total",
    ];
    for sample in reasons.into_iter().chain(mails).chain(others.map(str::to_owned)) {
        assert_eq!(told.get(&sample), Some(&0.0), "{sample} in {told:#?}");
    }
    assert!(told.contains_key("oneseat_sweeps_total"));
    let admin = visitor.login("admin@localhost", &program.first_password()).await;
    let admin = visitor.with_token(admin.json()["token"].as_str().unwrap());
    visitor.login("nobody@example.org", "not the password").await;
    assert_eq!(admin.session().await.status, 200);
    assert_eq!(admin.get("/api/admin/sessions").await.status, 200);
    visitor.get("/made/up/by/a/client").await;
    for method in ["BREW", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"] {
        Answer::of(visitor.request(method.parse().unwrap(), "/healthz")).await;
    }
    drop(EventStream::open(&admin).await);

    let scrape = async || {
        let answer = Client::new(address).get("/metrics").await;
        assert_eq!(answer.status, 200);
        assert!(
            answer
                .header("content-type")
                .starts_with("text/plain; version=0.0.4")
        );
        answer.text
    };
    eventually("the stream is gone", async || {
        read_by_a_client_library(&scrape().await)["oneseat_event_streams"] == 0.0
    })
    .await;
    let text = scrape().await;
    // Each family says what it is.
    let families = |comment: &str| -> BTreeSet<String> {
        let about = text.lines().filter_map(|line| line.strip_prefix(comment));
        about
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(families("# HELP "), families("# TYPE "));
    let told = read_by_a_client_library(&text);
    for (sample, value) in [
        ("oneseat_live_sessions", 1.0),
        ("oneseat_sign_ins_total success", 1.0),
        ("oneseat_sign_ins_total failure", 1.0),
        ("oneseat_http_requests_total POST /auth/login 200", 1.0),
        ("oneseat_http_requests_total POST /auth/login 401", 1.0),
        ("oneseat_http_requests_total GET /auth/session 200", 1.0),
        ("oneseat_http_requests_total GET none 404", 1.0),
        ("oneseat_http_requests_total other /healthz 405", 1.0),
        ("oneseat_http_requests_total PUT /healthz 405", 1.0),
        ("oneseat_http_requests_total PATCH /healthz 405", 1.0),
        ("oneseat_http_requests_total DELETE /healthz 405", 1.0),
        ("oneseat_http_requests_total OPTIONS /healthz 405", 1.0),
        ("oneseat_http_requests_total HEAD /healthz 200", 1.0),
        ("oneseat_http_requests_total GET /auth/session/events 200", 1.0),
        ("oneseat_http_request_seconds_count /auth/session", 1.0),
        ("oneseat_validation_queue_depth", 0.0),
        ("oneseat_hashing_queue_depth", 0.0),
        ("oneseat_event_streams", 0.0),
    ] {
        assert_eq!(told.get(sample), Some(&value), "{sample} in {told:#?}");
    }
    let seconds: Vec<_> = told
        .iter()
        .filter_map(|(sample, times)| {
            Some((
                sample.strip_prefix("oneseat_http_request_seconds_count ")?,
                *times,
            ))
        })
        // Where it asks itself at its start, too.
        .filter(|(route, _)| *route != "/healthz")
        .collect();
    let expected = [
        ("/api/admin/sessions", 1.0),
        ("/auth/login", 2.0),
        ("/auth/session", 1.0),
        ("none", 1.0),
    ];
    assert_eq!(seconds, expected);
    let validated = ["memory", "database"].map(|source| told[&format!("oneseat_validations_total {source}")]);
    assert_eq!(validated, [0.0, 3.0]);
    let of_streams = told
        .keys()
        .find(|name| name.contains("seconds") && name.contains("/events"));
    assert_eq!(of_streams, None, "a stream takes as long as its page");
    assert!(told["oneseat_db_connections"] >= 1.0);
    assert!(!text.contains("localhost") && !text.contains("made/up"), "{text}");

    admin.logout().await;
    eventually("the end is counted", async || {
        read_by_a_client_library(&scrape().await).get("oneseat_sessions_ended_total signed_out") == Some(&1.0)
    })
    .await;
    // The metrics are served at this address only, and this address serves nothing else.
    assert_eq!(visitor.get("/metrics").await.problem(), "404 not_found");
    assert_eq!(Client::new(address).get("/healthz").await.status, 404);
}

#[tokio::test]
async fn handshakes_that_fail_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| dir.path().join(name));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let tls = ["--tls-cert", certificate, "--tls-key", key];
    let (program, _dir) = Program::alone(&[&tls[..], &["--metrics-bind", "127.0.0.1:0"]].concat());
    for words in ["GET / HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}"] {
        let mut stream = TcpStream::connect(program.address).unwrap();
        stream.write_all(words.as_bytes()).unwrap();
    }
    let metrics = Client::new(program.metrics_address.unwrap());
    eventually("both are counted", async || {
        let told = metrics.get("/metrics").await.text;
        told.contains("oneseat_tls_handshakes_failed_total 2\n")
    })
    .await;
}

#[test]
fn the_dashboard_and_the_page_name_metrics_that_there_are() {
    let names = |text: &str| -> BTreeSet<String> {
        text.split(|c: char| !c.is_ascii_lowercase() && c != '_')
            .filter(|word| word.starts_with("oneseat_"))
            .map(|word| {
                ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|end| word.strip_suffix(end))
                    .unwrap_or(word)
                    .to_owned()
            })
            .collect()
    };
    let mut there_are = names(include_str!("../../src/auth/metrics.rs"));
    there_are.extend(names(include_str!("../../src/sessions/feed/reader.rs")));
    assert_eq!(
        names(include_str!("../../docs/grafana-dashboard.json")),
        there_are
    );
    assert_eq!(names(include_str!("../../docs/monitoring.md")), there_are);
    let dashboard: serde_json::Value =
        serde_json::from_str(include_str!("../../docs/grafana-dashboard.json")).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 5);
}
