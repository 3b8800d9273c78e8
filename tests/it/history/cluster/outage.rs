//! Measures when something worked while faults happened: writes to the cluster itself, and what instances do
//! for their clients.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::history::world::{World, locked};
use crate::support::PASSWORD;

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);
/// The pause between two sign-ins, which take processor time.
const LONG_PAUSE: Duration = Duration::from_millis(500);
/// The most tries at a time; more would wait for each other.
const AT_ONCE: usize = 6;
/// Longer than an instance takes for any answer.
const DEADLINE: Duration = Duration::from_secs(12);
/// A cluster that writes nothing for longer than this counts as out.
const NOTICEABLE: Duration = Duration::from_millis(500);
/// The instances that are measured: one through HAProxy, one with the addresses of all nodes.
pub const MEASURED: usize = 2;

/// What is tried again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Validation,
    SignIn,
    /// A page is told that an admin has ended its session.
    Notice,
}

impl What {
    pub const ALL: [Self; 3] = [Self::Validation, Self::SignIn, Self::Notice];
}

/// The times at which each of them worked.
pub struct Record {
    world: Arc<World>,
    writes: Mutex<Vec<Duration>>,
    answers: [[Mutex<Vec<Duration>>; MEASURED]; What::ALL.len()],
}

/// How long nothing was answered, and how long after the cluster's recovery that ended.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    pub length: Duration,
    /// `None`: the cluster was not out.
    pub beyond: Option<Duration>,
}

/// A time in which nothing worked.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    pub from: Duration,
    pub until: Duration,
}

impl Record {
    /// Begins to try; ends with the run.
    pub fn begin(world: &Arc<World>, nodes: Vec<String>) -> (Arc<Self>, Vec<JoinHandle<()>>) {
        let record = Arc::new(Self {
            world: world.clone(),
            writes: Mutex::default(),
            answers: Default::default(),
        });
        for url in nodes {
            let record = record.clone();
            // The try may hang: nothing waits for it.
            std::thread::spawn(move || record.write(&url));
        }
        let tasks = (0..MEASURED).flat_map(|instance| {
            [
                tokio::spawn(record.clone().validate(instance)),
                tokio::spawn(record.clone().sign_in(instance)),
                tokio::spawn(record.clone().hear(instance)),
            ]
        });
        let tasks = tasks.collect();
        (record, tasks)
    }

    pub fn now(&self) -> Duration {
        self.world.now()
    }

    /// Commits at one node, as long as it takes them.
    fn write(&self, url: &str) {
        let url = format!("{url}?connect_timeout=2&tcp_user_timeout=2000");
        while !self.world.is_over() {
            if let Ok(mut connection) = PgConnection::establish(&url) {
                let write = "insert into written default values";
                let _ = connection.batch_execute("set client_min_messages = fatal");
                loop {
                    match connection.batch_execute(write) {
                        Ok(()) => locked(&self.writes).push(self.now()),
                        Err(_) if connection.batch_execute("select").is_err() => break,
                        // This node is a standby, which may be promoted.
                        Err(_) => {}
                    }
                    if self.world.is_over() {
                        return;
                    }
                    std::thread::sleep(PAUSE);
                }
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The token of the admin is valid all the time.
    async fn validate(self: Arc<Self>, instance: usize) {
        self.try_again_and_again(What::Validation, instance, PAUSE, |record| {
            let (_, address) = record.world.instance(instance);
            let admin = record.world.client.at(address).with_token(&record.world.admin);
            admin.request(Method::GET, "/auth/session")
        })
        .await;
    }

    async fn sign_in(self: Arc<Self>, instance: usize) {
        self.try_again_and_again(What::SignIn, instance, LONG_PAUSE, |record| {
            record.login(&format!("signs-in{instance}@example.org"), instance)
        })
        .await;
    }

    /// Each try is a task of its own: a try that hangs does not hold up the others, but there are few at a
    /// time.
    async fn try_again_and_again(
        self: &Arc<Self>,
        what: What,
        instance: usize,
        pause: Duration,
        request: impl Fn(&Self) -> RequestBuilder,
    ) {
        let few = Arc::new(Semaphore::new(AT_ONCE));
        while !self.world.is_over() {
            let permit = few.clone().acquire_owned().await.expect("nobody closes it");
            let (record, request) = (self.clone(), request(self));
            tokio::spawn(async move {
                let _permit = permit;
                if let Ok(Ok(answer)) = timeout(DEADLINE, request.send()).await
                    && answer.status() == StatusCode::OK
                {
                    record.works(what, instance);
                }
            });
            sleep(pause).await;
        }
    }

    fn login(&self, email: &str, instance: usize) -> RequestBuilder {
        let (_, address) = self.world.instance(instance);
        let client = self.world.client.at(address);
        let body = json!({ "email": email, "password": PASSWORD });
        client.request(Method::POST, "/auth/login").json(&body)
    }

    async fn hear(self: Arc<Self>, instance: usize) {
        while !self.world.is_over() {
            if timeout(Duration::from_secs(60), self.hear_once(instance))
                .await
                .is_ok_and(|heard| heard.is_some())
            {
                self.works(What::Notice, instance);
            }
            sleep(LONG_PAUSE).await;
        }
    }

    /// Signs in, listens, and lets an admin end the session. `None`: that could not be begun.
    async fn hear_once(&self, instance: usize) -> Option<()> {
        let email = format!("listens{instance}@example.org");
        let answer = self.login(&email, instance).send().await.ok()?;
        let body: serde_json::Value = answer.json().await.ok()?;
        let path = format!("/api/admin/users/{}/session", body["user"]["id"].as_str()?);
        let (_, address) = self.world.instance(instance);
        let client = self.world.client.at(address);
        let listener = client.with_token(body["token"].as_str()?);
        let stream = listener.request(Method::GET, "/auth/session/events").send().await;
        let mut stream = stream.ok().filter(|stream| stream.status() == StatusCode::OK)?;
        let admin = client.with_token(&self.world.admin);
        let ends = async {
            loop {
                let end = admin.request(Method::DELETE, &path).send().await;
                if end.is_ok_and(|answer| answer.status() != StatusCode::SERVICE_UNAVAILABLE) {
                    return std::future::pending::<()>().await;
                }
                sleep(PAUSE).await;
            }
        };
        let hears = async {
            let mut heard = String::new();
            while !heard.contains("event: ended") {
                heard.push_str(&String::from_utf8_lossy(&stream.chunk().await.ok()??));
            }
            Some(())
        };
        tokio::select! {
            () = ends => unreachable!("it waits"),
            heard = hears => heard,
        }
    }

    fn works(&self, what: What, instance: usize) {
        locked(&self.answers[what as usize][instance]).push(self.now());
    }

    /// Whether everything has worked before.
    pub fn is_complete(&self) -> bool {
        let mut times = self.answers.iter().flatten().chain([&self.writes]);
        times.all(|times| !locked(times).is_empty())
    }

    /// The times since then in which nothing could be written.
    pub fn of_writes(&self, since: Duration) -> Vec<Gap> {
        let mut gaps = gaps(&locked(&self.writes), since);
        gaps.retain(|gap| gap.length() > NOTICEABLE);
        gaps
    }

    /// The outage of this kind since then; `writes` are the times in which nothing could be written.
    pub fn of(&self, what: What, instance: usize, since: Duration, writes: &[Gap]) -> Outage {
        let times = locked(&self.answers[what as usize][instance]).clone();
        let longest = gaps(&times, since).into_iter().map(Gap::length).max();
        let beyond = writes.iter().enumerate().filter_map(|(n, gap)| {
            let first = times.iter().copied().filter(|time| *time >= gap.until).min();
            let first = first.unwrap_or_else(|| self.now());
            // Otherwise the next outage delayed it.
            let is_between = writes.get(n + 1).is_none_or(|next| first <= next.from);
            is_between.then(|| first - gap.until)
        });
        Outage {
            length: longest.unwrap_or_default(),
            beyond: beyond.max(),
        }
    }
}

impl Gap {
    pub fn length(self) -> Duration {
        self.until - self.from
    }
}

/// The times between two of these, of which the second is not before `since`.
fn gaps(times: &[Duration], since: Duration) -> Vec<Gap> {
    let mut times = times.to_vec();
    times.sort_unstable();
    let gaps = times.windows(2).map(|pair| Gap {
        from: pair[0],
        until: pair[1],
    });
    gaps.filter(|gap| gap.until >= since).collect()
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}", self.length.as_secs_f64())?;
        match self.beyond {
            Some(beyond) => write!(f, " (+{:.2})", beyond.as_secs_f64()),
            None => Ok(()),
        }
    }
}
