//! Many at once: clients that leave, sign-ins by the hundred, sweepers that race.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::RcvBuf;
use oneseat::users::Role;
use serde_json::json;

use super::{field, request};
use crate::support::{App, PASSWORD, Program, eventually};

/// Argon2's memory for one hash, in KiB: m=19456.
const HASH: u64 = 19_456;

const LEAVING: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_leave_while_their_password_is_hashed_take_nothing_with_them() {
    let app = App::start().await;
    // A process of its own, whose threads are counted.
    let program = Program::over(app.database().url());
    let ada = app.signed_in("ada").await.at(program.address);
    assert_eq!(ada.session().await.status, 200);
    app.add_user("grace", Role::User).await;
    let body = json!({ "email": "grace@example.org", "password": PASSWORD }).to_string();
    let login = request("POST", "/auth/login", &["Content-Type: application/json"], body);
    let threads = threads_of(program.pid());
    for batch in 0..LEAVING / 50 {
        let clients: Vec<TcpStream> = (0..50)
            .map(|_| {
                let mut client = TcpStream::connect(program.address).unwrap();
                client.write_all(&login).unwrap();
                client
            })
            .collect();
        // Not a wait for something: some are being hashed and most are queued at whatever moment this is.
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(clients);
        assert_eq!(ada.session().await.status, 200, "batch {batch}");
    }
    // Clients that stay are served, and soon: the queue does not hash for those that left.
    eventually(
        "the queue is empty and nobody signs in for those who left",
        async || {
            let login = program.visitor().login("grace@example.org", PASSWORD).await;
            let token = login.json()["token"].as_str().map(str::to_owned);
            match token {
                Some(token) => program.visitor().with_token(token).session().await.status == 200,
                None => false,
            }
        },
    )
    .await;
    assert_eq!(app.sessions(), 2);
    // Some for the connections of the pool, which come when they are needed; none for a client.
    let now = threads_of(program.pid());
    assert!(now < threads + 40, "{threads} threads, then {now}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sweepers_at_the_same_time_end_every_session_once() {
    let app = App::start().await;
    let other = app.another_instance().await;
    eventually("nobody else sweeps", async || {
        app.auth.sweep(|_| ()).await.unwrap().is_some()
    })
    .await;
    app.database().execute(
        "insert into users (name, email) select 'u', n || '@x' from generate_series(1, 5000) n;
         insert into sessions (written_at, user_id, token_digest, ip_address, last_activity, expires_at, created_at)
             select now(), id, sha256(email::bytea), '192.0.2.1', now() - interval '3 hours', now() - interval '1 hour',
                    now() - interval '3 hours' from users",
    );
    let sweeps = [&app, &other, &app, &other].map(|app| {
        let auth = app.auth.clone();
        tokio::spawn(async move { auth.sweep(|_| ()).await.unwrap() })
    });
    let mut swept = 0;
    for sweep in sweeps {
        // One sweep at a time: a sweep that finds another one running leaves all rows to it.
        swept += sweep.await.unwrap().map_or(0, |swept| swept.sessions);
    }
    assert!(swept <= 5_000, "{swept}");
    eventually("all are swept", async || {
        let _ = app.auth.sweep(|_| ()).await.unwrap();
        app.sessions() == 0
    })
    .await;
    let ended = "select count(*) from ended_sessions where reason = 'expired'";
    assert_eq!(app.database().number(ended), 5_000);
    assert_eq!(
        app.database()
            .number("select count(distinct token_digest) from ended_sessions"),
        5_000
    );
}

/// `Threads:` of a process.
fn threads_of(pid: u32) -> u64 {
    status(pid, "Threads")
}

/// A line of /proc/PID/status, as a number.
fn status(pid: u32, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .unwrap();
    value.split_whitespace().next().unwrap().parse().unwrap()
}

/// What ten connections full of questions may take, in KiB: their buffers, and one answer each.
const TEN_CONNECTIONS: u64 = 24 * 1_024;

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_takes_are_not_made() {
    let (program, _dir) = Program::alone(&["--login-rate", "off"]);
    assert_eq!(program.visitor().get("/login").await.status, 200);
    let base = status(program.pid(), "RssAnon");
    // Half a megabyte of questions each would be two hundred megabytes of answers.
    let question = "GET /login HTTP/1.1\r\nHost: x\r\n\r\n".repeat(15_000);
    let clients: Vec<_> = (0..10)
        .map(|_| {
            let (mut client, question) = (TcpStream::connect(program.address).unwrap(), question.clone());
            // Otherwise the kernel would buffer most of the answers.
            setsockopt(&client, RcvBuf, &4_096).unwrap();
            client.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
            std::thread::spawn(move || {
                // As much as it takes in: more than that waits in the kernel.
                let _ = client.write_all(question.as_bytes());
                client
            })
        })
        .collect();
    let clients: Vec<TcpStream> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    until_it_rests(program.pid()).await;
    let now = status(program.pid(), "RssAnon");
    assert!(now < base + TEN_CONNECTIONS, "{base} KiB, then {now} KiB");
    drop(clients);
    assert_eq!(program.visitor().get("/healthz").await.status, 200);
}

/// Waits until the process has used no processor time for half a second: then it has done all that it could.
async fn until_it_rests(pid: u32) {
    let mut used = Vec::new();
    eventually("the program rests", async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<u64> = stat.split(' ').filter_map(|field| field.parse().ok()).collect();
        // User and system time (proc(5), fields 14 and 15; the name and the state are no numbers).
        used.push(fields[11] + fields[12]);
        used.len() > 1 && used[used.len() - 1] - used[used.len() - 2] <= 1
    })
    .await;
}

/// Sign-ins at the same time.
const STORM: usize = 500;
/// What may come on top of the hashes, in KiB: 48 for the buffers of a connection and what its handler holds; and 24 MiB for what
/// the allocator keeps. Together it is no more than two and a half hashes, where 500 at a time would be 9 GiB.
const MARGIN: u64 = STORM as u64 * 48 + 24 * 1_024;

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_logins_at_once_keep_to_their_memory_and_validation_goes_on() {
    let (program, _dir) = Program::alone(&["--login-rate", "off"]);
    let visitor = program.visitor();
    let admin = visitor.login("admin@localhost", &program.first_password()).await;
    let admin = visitor.with_token(admin.json()["token"].as_str().unwrap());
    assert_eq!(admin.session().await.status, 200);
    let pid = program.pid();
    // One hash is in it already, and only makes the bound below looser by its size.
    let base = status(pid, "RssAnon");

    // Written by hand and all at once: a client library would take longer to send them than the server to answer.
    let mut storm: Vec<TcpStream> = (0..STORM)
        .map(|_| TcpStream::connect(program.address).unwrap())
        .collect();
    for (n, client) in storm.iter_mut().enumerate() {
        // Each for an address of its own, or the lock would answer instead of the hash.
        let body = json!({ "email": format!("{n}@example.org"), "password": "wrong, and long enough" });
        let login = request(
            "POST",
            "/auth/login",
            &["Content-Type: application/json"],
            body.to_string(),
        );
        client.write_all(&login).unwrap();
        client.set_nonblocking(true).unwrap();
    }
    let mut peak = 0;
    let (mut refused, mut wrong) = (0, 0_u64);
    let deadline = Instant::now() + Duration::from_secs(300);
    // Until the queue was full and every hashing thread has hashed, on average more than once: on a busy machine most of them wait too
    // long and are refused.
    let hashers = std::thread::available_parallelism().unwrap().get() as u64;
    while refused == 0 || wrong < 4 * hashers {
        assert!(Instant::now() < deadline, "{refused} refused, {wrong} wrong");
        peak = peak.max(status(pid, "RssAnon"));
        // No signed-in user is answered 503 during the storm.
        assert_eq!(admin.session().await.status, 200);
        storm.retain_mut(|client| {
            let mut answer = [0; 2_048];
            let Ok(read) = client.read(&mut answer) else {
                return true;
            };
            let answer = String::from_utf8_lossy(&answer[..read]);
            match answer.split(' ').nth(1) {
                Some("503") => {
                    assert!(field(&answer, "retry-after").is_some(), "{answer}");
                    refused += 1;
                }
                Some("401") => wrong += 1,
                _ => panic!("{answer}"),
            }
            false
        });
    }
    // No password is hashed for clients that leave now.
    drop(storm);
    let bound = base + hashers * HASH + MARGIN;
    assert!(
        peak <= bound,
        "{base} KiB, then {peak} KiB, more than {bound} KiB"
    );
    let mut answers = HashSet::new();
    eventually("the queue is empty", async || {
        let answer = visitor.login("late@example.org", "wrong, and long enough").await;
        answers.insert(answer.problem());
        answer.status == 401
    })
    .await;
    assert!(
        answers.iter().all(|answer| answer != "500 internal"),
        "{answers:?}"
    );
}
