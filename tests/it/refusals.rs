//! Refusals and the log: a caller who is refused again and again causes a few lines, and a sum counts the
//! rest.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat};
use futures_util::{StreamExt, stream};
use oneseat::db::embedded::Embedded;
use oneseat::db::migrations;
use oneseat::log_limit::PERIOD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, Database, MailServer, PASSWORD, Program, add_user, oneseat};

const ADA: &str = "ada@example.org";
/// More refusals than any caller gets by accident.
const STORM: usize = 200;

/// A program over this database, with its log in JSON; and Ada, who is not an admin.
fn serve(url: &str, args: &[&str]) -> Program {
    add_user(url, ADA, "user");
    let usual = ["--bind", "127.0.0.1:0", "--log-format", "json"];
    Program::serve_with(&[&usual[..], args].concat(), &[("DATABASE_URL", url.to_owned())])
}

/// Makes so many calls, some at a time. Returns the answers.
async fn storm(times: usize, ask: impl AsyncFn(usize) -> Answer) -> Vec<Answer> {
    let asked = (0..times).map(|n| ask(n));
    stream::iter(asked).buffer_unordered(16).collect().await
}

fn every(answers: &[Answer], problem: &str) -> usize {
    for answer in answers {
        assert_eq!(answer.problem(), problem);
    }
    answers.len()
}

/// A service's id and secret.
fn service(url: &str) -> (String, String) {
    let output = oneseat(&["client", "add", "Payroll", "--database-url", url], "");
    let shown = String::from_utf8(output.stdout).unwrap();
    let word = |label: &str| {
        let line = shown.lines().find(|line| line.contains(label)).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    };
    (word("client id"), word("client secret"))
}

/// What `GET /auth/session` says there.
async fn said(client: &Client, place: &str) -> String {
    let session = client.session().await.json();
    session.pointer(place).unwrap().as_str().unwrap().to_owned()
}

async fn login(client: &Client, password: &str) -> Answer {
    client.login(ADA, password).await
}

/// The lines of the log for this event.
fn lines<'a>(log: &'a [Value], message: &'a str, field: &'a str, value: &'a str) -> Vec<&'a Value> {
    log.iter()
        .filter(|line| line["message"] == message && line[field] == value)
        .collect()
}

/// How often the first lines of a kind may have been written since then: a busy machine takes longer, and
/// sums are written each minute.
fn periods(since: Instant) -> usize {
    2 + usize::try_from(since.elapsed().as_secs()).unwrap() / 60
}

/// The number of events that these lines stand for.
fn events(lines: &[&Value]) -> u64 {
    lines.iter().map(|line| line["count"].as_u64().unwrap_or(1)).sum()
}

fn finish(program: Program) -> Vec<Value> {
    let (stopped, log) = program.terminate();
    assert!(stopped, "{log:#?}");
    log.iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_every_kind_is_a_few_lines_and_sums_that_are_right() {
    let (began, database, mails) = (Instant::now(), Database::fresh(), MailServer::start());
    let smtp = mails.url();
    let mail = ["--smtp-url", &smtp, "--mail-from", "oneseat <seat@example.org>"];
    let public = ["--public-url", "http://127.0.0.1:8080", "--login-rate", "off"];
    let program = serve(database.url(), &[&mail[..], &public].concat());
    let (client_id, secret) = service(database.url());
    let visitor = program.visitor();
    let dead = visitor.sign_in(ADA).await;
    let ended = said(&dead, "/session/id").await;
    let ada = visitor.sign_in(ADA).await;
    let user = said(&ada, "/user/id").await;
    let introspect = async |secret: &str| {
        let request = visitor.request(Method::POST, "/auth/introspect");
        let form = "application/x-www-form-urlencoded";
        let request = request
            .basic_auth(&client_id, Some(secret))
            .header("content-type", form);
        Answer::of(request.body(format!("token={}", dead.token()))).await
    };
    let change =
        json!({ "currentPassword": "not my password", "newPassword": "nine green bottles on a wall" });
    let forgot = json!({ "email": ADA });

    let used = every(
        &storm(STORM, async |_| dead.session().await).await,
        "401 session_ended",
    );
    let shown = storm(STORM, async |_| introspect(&secret).await).await;
    assert!(
        shown
            .iter()
            .all(|answer| answer.json() == json!({ "active": false }))
    );
    let strangers = storm(STORM, async |_| introspect(&"ab".repeat(32)).await).await;
    let strangers = every(&strangers, "401 invalid_client");
    let admin = "/api/admin/sessions";
    let forbidden = every(
        &storm(STORM, async |_| ada.get(admin).await).await,
        "403 forbidden",
    );
    // One more call that is not theirs, and one that is, with a header that is not.
    assert_eq!(ada.get("/api/admin/users").await.problem(), "403 forbidden");
    let verify = async |_| {
        let request = ada.request(Method::GET, "/auth/verify");
        Answer::of(request.header("Remote_User", "root@example.org")).await
    };
    let forged = every(&storm(STORM, verify).await, "400 bad_request");
    let asked = storm(20, async |_| visitor.post("/auth/password/forgot", &forgot).await).await;
    assert!(asked.iter().all(|answer| answer.status == 202));
    for _ in 0..5 {
        assert_eq!(
            login(&visitor, "not the password").await.problem(),
            "401 invalid_credentials"
        );
    }
    let locked = storm(STORM, async |_| login(&visitor, PASSWORD).await).await;
    let locked = every(&locked, "403 account_locked");
    let path = "/auth/password/change";
    let changes = every(
        &storm(STORM, async |_| ada.post(path, &change).await).await,
        "403 account_locked",
    );

    let log = finish(program);
    for (message, field, value, times) in [
        (
            "session_use_after_expire",
            "session",
            ended.as_str(),
            used + shown.len(),
        ),
        ("authn_login_fail", "client", &client_id, strangers),
        ("authz_fail", "resource", admin, forbidden),
        ("authz_fail", "resource", "/api/admin/users", 1),
        ("authz_fail", "user", &user, forbidden + 1),
        ("malicious_extraneous", "user", &user, forged),
        ("authn_login_fail", "reason", "account is locked", locked),
        ("authn_login_fail", "reason", "invalid credentials", 5),
        (
            "authn_password_change_fail",
            "reason",
            "account is locked",
            changes,
        ),
        ("link_requested", "from", "127.0.0.1", 5),
        ("excess_rate_limit_exceeded", "from", "127.0.0.1", 15),
        ("authn_login_lock", "from", "127.0.0.1", 1),
    ] {
        let told = lines(&log, message, field, value);
        assert_eq!(events(&told), times as u64, "{message} {value}: {told:#?}");
        assert!(told.len() <= 7 * periods(began), "{message} {value}: {told:#?}");
        assert!(told.iter().all(|line| line["from"] == "127.0.0.1"), "{told:#?}");
    }
    // What was done is logged each time.
    assert_eq!(lines(&log, "session_ended", "reason", "replaced").len(), 1);
    // Sums say when, as each line does, and come in that order.
    let sums = log
        .iter()
        .filter(|line| line["count"].is_number() && line["target"] == "oneseat::security");
    let times: Vec<[&str; 2]> = sums
        .map(|sum| ["first", "last"].map(|name| sum[name].as_str().unwrap()))
        .collect();
    for time in times.as_flattened() {
        let read = DateTime::parse_from_rfc3339(time).unwrap().to_utc();
        assert_eq!(read.to_rfc3339_opts(SecondsFormat::Millis, true), *time);
    }
    assert!(
        times.len() > 5 && times.iter().all(|[first, last]| first <= last),
        "{times:#?}"
    );
    let is_one_period = began.elapsed() < PERIOD;
    assert!(
        !is_one_period || times.is_sorted_by_key(|[first, _]| *first),
        "{times:#?}"
    );
    assert!(log.len() < 150 * periods(began), "{} lines", log.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_over_its_rate_causes_few_log_lines_for_each_call() {
    let (began, database) = (Instant::now(), Database::fresh());
    let program = serve(
        database.url(),
        &["--login-rate", "1", "--trusted-proxies", "127.0.0.1"],
    );
    let visitor = program.visitor();
    let post = async |path: &str, origin: IpAddr| {
        let request = visitor
            .request(Method::POST, path)
            .header("X-Forwarded-For", origin.to_string());
        Answer::of(request.json(&json!({ "email": ADA, "password": "not the password" }))).await
    };
    let refused = |answers: &[Answer]| answers.iter().filter(|answer| answer.status == 429).count();
    let (one, paths) = (
        IpAddr::from([192, 0, 2, 7]),
        ["/auth/login", "/auth/password/reset"],
    );
    let mut sent = Vec::new();
    for path in paths {
        sent.push(refused(&storm(STORM, async |_| post(path, one).await).await));
    }
    // And many others, each of them twice: once within their rate, where their neighbours have left some.
    let many = storm(1_000, async |n| {
        let origin = 0x0a00_0000 + u32::try_from(n / 2).unwrap();
        post("/auth/email/verify", IpAddr::V4(Ipv4Addr::from(origin))).await
    });
    let many = refused(&many.await);
    assert!(
        sent.iter().all(|sent| *sent > STORM / 2) && many > 400,
        "{sent:?} {many}"
    );

    let log = finish(program);
    let told: Vec<&Value> = log
        .iter()
        .filter(|line| line["message"] == "excess_rate_limit_exceeded")
        .collect();
    assert_eq!(events(&told), (sent.iter().sum::<usize>() + many) as u64);
    assert!(told.len() <= (300 + 51) * periods(began), "{} lines", told.len());
    for (path, sent) in paths.into_iter().zip(sent) {
        let told = lines(&log, "excess_rate_limit_exceeded", "what", path);
        assert_eq!(events(&told), sent as u64, "{told:#?}");
        assert!(told.len() <= 6 * periods(began), "{told:#?}");
        assert!(told.iter().all(|line| line["from"] == "192.0.2.7"), "{told:#?}");
    }
}

/// Whether a new connection is served, and the connection.
fn is_served(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(90))).unwrap();
    let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    (asked.is_ok() && stream.read_exact(&mut [0; 12]).is_ok()).then_some(stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_refused_are_a_few_lines_a_sum_and_a_figure() {
    let (began, database) = (Instant::now(), Database::fresh());
    let few = [
        "--workers",
        "1",
        "--max-connections",
        "20",
        "--metrics-bind",
        "127.0.0.1:0",
    ];
    let program = serve(database.url(), &few);
    let address = program.address;
    let kept = tokio::task::spawn_blocking(move || {
        let kept: Vec<TcpStream> = (0..STORM).filter_map(|_| is_served(address)).collect();
        kept.len()
    });
    // One network has four fifths of all.
    let kept = kept.await.unwrap();
    assert_eq!(kept, 16);
    let refused = STORM - kept;
    let metrics = Client::new(program.metrics_address.unwrap());
    let told = metrics.get("/metrics").await.text;
    let figure = format!("oneseat_connections_refused_total {refused}\n");
    assert!(told.contains(&figure), "{told}");

    let log = finish(program);
    let told = lines(&log, "excess_rate_limit_exceeded", "what", "connection");
    assert_eq!(events(&told), refused as u64, "{told:#?}");
    assert!(told.len() <= 6 * periods(began), "{told:#?}");
    assert!(told.iter().all(|line| line["from"] == "127.0.0.1"), "{told:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_told_a_few_times_and_every_line_is_an_object() {
    let dir = tempfile::Builder::new()
        .prefix("oneseat-refusals-")
        .tempdir()
        .unwrap();
    let embedded = Embedded::open(dir.path(), &[("fsync", "off")]).unwrap();
    migrations::run(&embedded.url()).unwrap();
    let program = serve(&embedded.url(), &[]);
    let ada = program.visitor().sign_in(ADA).await;
    embedded.stop().unwrap();
    let asked = (0..STORM).map(|_| ada.session());
    let answers: Vec<Answer> = stream::iter(asked).buffer_unordered(STORM).collect().await;
    // A sign-in that nobody could decide is one that failed.
    assert_eq!(
        login(&program.visitor(), PASSWORD).await.problem(),
        "503 unavailable"
    );
    let refused = every(&answers, "503 unavailable") + 1;

    let log = finish(program);
    let told: Vec<&Value> = log
        .iter()
        .filter(|line| {
            line["target"]
                .as_str()
                .is_some_and(|target| target.starts_with("oneseat::web::problem"))
        })
        .collect();
    assert_eq!(events(&told), refused as u64, "{told:#?}");
    // A few reasons there may be, and a few lines for each.
    assert!(told.len() <= 50, "{told:#?}");
    let failed: Vec<&Value> = log
        .iter()
        .filter(|line| line["message"] == "authn_login_fail")
        .collect();
    assert_eq!(events(&failed), 1, "{failed:#?}");
    assert!(
        failed[0]["reason"].is_string() && failed[0]["address"].is_string(),
        "{failed:#?}"
    );
    assert_eq!(
        (&failed[0]["from"], &failed[0]["level"]),
        (&json!("127.0.0.1"), &json!("WARN"))
    );
    // oneseat logs these errors itself, in words that are fit for the log; r2d2 logs none.
    assert!(log.iter().all(|line| line["target"] != "r2d2"), "{log:#?}");
    drop(embedded);
}
