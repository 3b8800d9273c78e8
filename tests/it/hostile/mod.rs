//! Requests that nobody should send, over raw sockets, because a client library would repair them.
//!
//! Each table says what is tried, which answers are right, and how the database may change. In addition,
//! every row must get an answer in time, which contains nothing internal and nothing that was sent, and the
//! server must go on.

mod http;
mod lists;
mod login;
mod storms;
mod token;

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use diesel::sql_types::Text;
use diesel::{PgConnection, QueryableByName, RunQueryDsl};
use serde_json::Value;

use crate::support::App;

/// Longer than any deadline of the server that a row here meets, and short enough to call what exceeds it a hang.
const PATIENCE: Duration = Duration::from_secs(20);
/// A second answer to one request would follow the first at once.
const AFTERTHOUGHT: Duration = Duration::from_millis(50);

/// One thing that is tried: its name, what is sent, the allowed answers (`401 token_missing`; `400` if only
/// the parser answers; `closed` without an answer), and what it may change.
struct Try {
    name: String,
    sent: Vec<u8>,
    right: &'static [&'static str],
    may_change: Change,
}

/// The changes that a row may cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Nothing,
    /// One wrong password is counted.
    OneFailure,
    /// Somebody is signed in: sessions and endings differ, users do not.
    SignIn,
}

/// Everything in the database, table by table: how many rows, and a digest of them.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
struct State {
    #[diesel(sql_type = Text)]
    users: String,
    #[diesel(sql_type = Text)]
    seats: String,
    #[diesel(sql_type = Text)]
    failures: String,
}

/// What came back.
#[derive(Debug)]
struct Reply {
    head: String,
    body: String,
    /// Of every answer that came: `["200", "401"]`.
    statuses: Vec<String>,
}

fn attempt(
    name: impl Into<String>,
    sent: impl Into<Vec<u8>>,
    right: &'static [&'static str],
    may_change: Change,
) -> Try {
    Try {
        name: name.into(),
        sent: sent.into(),
        right,
        may_change,
    }
}

/// A whole request with these lines between `Host` and the end of its head.
fn request(method: &str, path: &str, lines: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    for line in lines {
        write!(head, "{line}\r\n").unwrap();
    }
    if !body.is_empty() {
        write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// A whole request whose lines may hold any byte.
fn request_of_bytes(method: &str, path: &str, line: &[u8]) -> Vec<u8> {
    let start = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    [start.as_bytes(), line, b"\r\n\r\n"].concat()
}

impl State {
    fn of(conn: &mut PgConnection) -> Self {
        let table = |name: &str| {
            format!(
                "(select count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' order by t::text)), '') from {name} t)"
            )
        };
        // Of the failures the sum of the counts is enough: the rows hold digests and times.
        diesel::sql_query(format!(
            "select {} as users, {} || {} as seats,
                 (select count(*) || ' ' || coalesce(sum(failed_attempts), 0) from login_failures) as failures",
            table("users"),
            table("sessions"),
            table("ended_sessions")
        ))
        .get_result(conn)
        .unwrap()
    }

    /// The tables that have changed since.
    fn since(&self, before: &Self) -> Option<Change> {
        let (users, seats, failures) = (
            self.users == before.users,
            self.seats == before.seats,
            self.failures == before.failures,
        );
        match (users, seats, failures) {
            (true, true, true) => Some(Change::Nothing),
            // Each row starts without failures.
            (true, true, false) if self.failures == "1 1" => Some(Change::OneFailure),
            (true, false, true) => Some(Change::SignIn),
            _ => None,
        }
    }
}

/// Sends one request and reads until the connection ends, or until one answer is complete and nothing follows
/// it.
fn send(address: SocketAddr, bytes: &[u8]) -> Result<Reply, String> {
    send_in_a_row(address, bytes, 1)
}

/// Sends so many requests without waiting for answers. A busy server may pause between two answers, so a
/// short silence is the end only after as many answers as were asked for.
fn send_in_a_row(address: SocketAddr, bytes: &[u8], requests: usize) -> Result<Reply, String> {
    let mut stream = TcpStream::connect(address).unwrap();
    let deadline = Instant::now() + PATIENCE;
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    std::thread::scope(|scope| {
        // Some of it is refused before it is sent to its end.
        let mut writer = stream.try_clone().unwrap();
        scope.spawn(move || {
            let _ = writer.write_all(bytes);
        });
        let mut chunk = [0; 16 * 1_024];
        loop {
            let is_answered = whole_answers(&answer) >= requests;
            let patience = if is_answered {
                AFTERTHOUGHT
            } else {
                deadline.saturating_duration_since(Instant::now())
            };
            let patience = patience.max(Duration::from_millis(1));
            stream.set_read_timeout(Some(patience)).unwrap();
            match stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => answer.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(_) if is_answered => break,
                Err(error) => {
                    let _ = stream.shutdown(Shutdown::Both);
                    return Err(format!("no answer and no end: {error}"));
                }
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
        Ok(())
    })?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    Ok(Reply {
        head: head.to_owned(),
        body: body.to_owned(),
        statuses: text
            .split("HTTP/1.1 ")
            .skip(1)
            .map(|rest| rest.chars().take(3).collect())
            .collect(),
    })
}

/// How many answers are complete: a head and as much of a body as it announces. An answer without a length
/// goes on to the end of the connection.
fn whole_answers(mut bytes: &[u8]) -> usize {
    const END_OF_HEAD: &[u8] = b"\r\n\r\n";
    let mut whole = 0;
    while let Some(end) = bytes
        .windows(END_OF_HEAD.len())
        .position(|part| part == END_OF_HEAD)
    {
        let (head, rest) = bytes.split_at(end + END_OF_HEAD.len());
        let head = String::from_utf8_lossy(head);
        let length = field(&head, "content-length").and_then(|length| length.parse::<usize>().ok());
        let Some(rest) = rest.get(length.unwrap_or(rest.len())..) else {
            break;
        };
        whole += 1;
        bytes = rest;
    }
    whole
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

impl Reply {
    /// `401 token_missing`, `200`, `closed`.
    fn outcome(&self) -> String {
        let Some(status) = self.head.split(' ').nth(1) else {
            return "closed".to_owned();
        };
        match serde_json::from_str::<Value>(&self.body) {
            Ok(problem) if problem["code"].is_string() => {
                assert_eq!(problem["status"].to_string(), status, "{self:?}");
                assert_eq!(
                    field(&self.head, "content-type"),
                    Some("application/problem+json"),
                    "{self:?}"
                );
                format!("{status} {}", problem["code"].as_str().unwrap())
            }
            _ => status.to_owned(),
        }
    }

    /// What holds for every answer, whatever was asked.
    fn complaints(&self, sent: &[u8]) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.statuses.len() > 1 {
            complaints.push(format!("there are several answers: {:?}", self.statuses));
        }
        for inside in [
            "panick",
            "backtrace",
            "sqlstate",
            "diesel",
            "postgres",
            "from users",
            "syntax error",
            ".rs:",
            "argon2",
        ] {
            if self.body.to_lowercase().contains(inside) {
                complaints.push(format!("it shows {inside:?}"));
            }
        }
        // A canary is in everything that a client could try to have repeated.
        if sent.windows(CANARY.len()).any(|part| part == CANARY.as_bytes())
            && (self.body.contains(CANARY) || self.head.contains(CANARY))
        {
            complaints.push("it repeats what was sent".to_owned());
        }
        // The parser's own refusals have no body and no headers: docs/security.md says so.
        let has_body = !self.body.is_empty();
        if has_body && field(&self.head, "x-content-type-options") != Some("nosniff") {
            complaints.push("the security headers are missing".to_owned());
        }
        if has_body && field(&self.head, "cache-control").is_none() {
            complaints.push("nothing is said about caches".to_owned());
        }
        complaints
    }
}

/// Put into requests at places that must not be repeated.
const CANARY: &str = "qzjxvkwp";

/// Tries every row, and complains about all of them at once.
fn try_all(app: &App, rows: Vec<Try>) {
    let conn = &mut app.database().connect();
    let mut complaints = String::new();
    for row in rows {
        let before = State::of(conn);
        let began = Instant::now();
        let mut found = match send(app.address, &row.sent) {
            Err(hang) => vec![hang],
            Ok(reply) => {
                let mut found = reply.complaints(&row.sent);
                let outcome = reply.outcome();
                if !row.right.contains(&outcome.as_str()) {
                    let start: String = reply.body.chars().take(300).collect();
                    found.push(format!("{outcome} is not one of {:?}: {start}", row.right));
                }
                found
            }
        };
        if began.elapsed() > PATIENCE {
            found.push(format!("it took {:?}", began.elapsed()));
        }
        let after = State::of(conn);
        if after.since(&before) != Some(row.may_change) {
            found.push(format!(
                "it changed {:?}, not {:?}",
                after.since(&before),
                row.may_change
            ));
        }
        let alive = send(app.address, &request("GET", "/healthz", &[], ""));
        if alive.map(|reply| reply.outcome()) != Ok("200".to_owned()) {
            found.push("afterwards the server does not answer".to_owned());
        }
        if row.may_change == Change::OneFailure || !found.is_empty() {
            app.database().execute("delete from login_failures");
        }
        for complaint in found {
            writeln!(complaints, "{}: {complaint}", row.name).unwrap();
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}
