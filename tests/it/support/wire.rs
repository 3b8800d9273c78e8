//! A network between a server and PostgreSQL, which counts round trips and may be slow.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{sleep, spawn};
use std::time::Duration;

use super::Database;

/// What the connections share.
#[derive(Default)]
struct Meter {
    trips: AtomicUsize,
    /// One way, in microseconds.
    delay: AtomicU64,
}

/// The way to one database.
pub struct Wire {
    url: String,
    meter: Arc<Meter>,
}

impl Wire {
    /// A way to this database of the tests' own PostgreSQL, which listens at a socket.
    pub fn to(database: &Database) -> Self {
        let (start, rest) = database.url().split_once('@').unwrap();
        let (host, rest) = rest.split_once('/').unwrap();
        let socket = percent_encoding::percent_decode_str(host).decode_utf8().unwrap();
        let socket = format!("{socket}/.s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let meter = Arc::new(Meter::default());
        let shared = meter.clone();
        spawn(move || {
            for client in listener.incoming() {
                let server = UnixStream::connect(&socket).unwrap();
                carry(client.unwrap(), server, &shared);
            }
        });
        Self {
            url: format!("{start}@{address}/{rest}&sslmode=disable&gssencmode=disable"),
            meter,
        }
    }

    /// The database, by this way.
    pub fn database(&self) -> Database {
        Database::at(self.url.clone())
    }

    /// Takes this long for each way from now on.
    pub fn slow_down(&self, one_way: Duration) {
        let delay = one_way.as_micros().try_into().unwrap();
        self.meter.delay.store(delay, Ordering::Relaxed);
    }

    /// The fewest round trips that this has taken in some tries: what a background actor does in between can only add to
    /// them.
    pub async fn fewest(&self, mut what: impl AsyncFnMut()) -> usize {
        let mut fewest = usize::MAX;
        for _ in 0..6 {
            let before = self.meter.trips.load(Ordering::Relaxed);
            what().await;
            fewest = fewest.min(self.meter.trips.load(Ordering::Relaxed) - before);
        }
        fewest
    }
}

/// One connection. A round trip begins with what the client sends after it was answered, in however many parts.
fn carry(client: TcpStream, server: UnixStream, meter: &Arc<Meter>) {
    client.set_nodelay(true).unwrap();
    let is_answered = Arc::new(AtomicBool::new(true));
    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (shared, answered) = (meter.clone(), is_answered.clone());
    spawn(move || {
        let cut = to.try_clone().unwrap();
        pass_on(from, to, &shared, || {
            if answered.swap(false, Ordering::Relaxed) {
                shared.trips.fetch_add(1, Ordering::Relaxed);
            }
        });
        let _ = cut.shutdown(Shutdown::Both);
    });
    let meter = meter.clone();
    spawn(move || {
        let cut = client.try_clone().unwrap();
        pass_on(server, client, &meter, || {
            is_answered.store(true, Ordering::Relaxed)
        });
        let _ = cut.shutdown(Shutdown::Both);
    });
}

fn pass_on(mut from: impl Read, mut to: impl Write, meter: &Meter, passed: impl Fn()) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        passed();
        let delay = meter.delay.load(Ordering::Relaxed);
        if delay > 0 {
            sleep(Duration::from_micros(delay));
        }
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
}
