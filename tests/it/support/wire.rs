//! A network between a server and PostgreSQL that counts round trips, and that a test can slow down or cut.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{sleep, spawn};
use std::time::Duration;

use super::Database;

/// A connection on which this statement is sent is not counted.
const FEED: &[u8] = b"read_feed";

/// What the connections share.
#[derive(Default)]
struct Meter {
    trips: AtomicUsize,
    /// The delay of one direction, in microseconds.
    delay: AtomicU64,
    /// Data sent in this direction waits, as on a network that loses every packet.
    is_cut_there: AtomicBool,
    is_cut_back: AtomicBool,
}

/// The directions in which everything is lost until the network is repaired. TCP then sends it again, and no
/// connection is closed.
#[derive(Clone, Copy, Debug)]
pub enum Lost {
    Questions,
    Answers,
    Everything,
}

/// A wire to one database.
pub struct Wire {
    url: String,
    meter: Arc<Meter>,
}

impl Wire {
    /// A wire to this database of the tests' own PostgreSQL, which listens at a socket.
    pub fn to(database: &Database) -> Self {
        Self::from(Ipv4Addr::LOCALHOST.into(), database)
    }

    /// A wire that listens at this address of the machine.
    pub fn from(address: IpAddr, database: &Database) -> Self {
        let (start, rest) = database.url().split_once('@').unwrap();
        let (host, rest) = rest.split_once('/').unwrap();
        let socket = percent_encoding::percent_decode_str(host).decode_utf8().unwrap();
        let socket = format!("{socket}/.s.PGSQL.5432");
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let meter = Arc::new(Meter::default());
        let shared = meter.clone();
        spawn(move || {
            for client in listener.incoming() {
                // This fails if PostgreSQL is down.
                if let (Ok(client), Ok(server)) = (client, UnixStream::connect(&socket)) {
                    carry(client, server, &shared);
                }
            }
        });
        Self {
            url: format!("{start}@{address}/{rest}&sslmode=disable&gssencmode=disable"),
            meter,
        }
    }

    /// The database, through this wire.
    pub fn database(&self) -> Database {
        Database::at(self.url.clone())
    }

    /// Delays data by this long in each direction from now on.
    pub fn slow_down(&self, one_way: Duration) {
        let delay = one_way.as_micros().try_into().unwrap();
        self.meter.delay.store(delay, Ordering::Relaxed);
    }

    /// Loses data in these directions from now on.
    pub fn cut(&self, lost: Lost) {
        let is_cut_there = matches!(lost, Lost::Questions | Lost::Everything);
        let is_cut_back = matches!(lost, Lost::Answers | Lost::Everything);
        self.meter.is_cut_there.store(is_cut_there, Ordering::SeqCst);
        self.meter.is_cut_back.store(is_cut_back, Ordering::SeqCst);
    }

    /// Delivers everything, including what was held up.
    pub fn mend(&self) {
        self.meter.is_cut_there.store(false, Ordering::SeqCst);
        self.meter.is_cut_back.store(false, Ordering::SeqCst);
    }

    /// The fewest round trips that this took in some tries: background actors can only add to them.
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

/// One connection. A round trip begins with what the client sends after it was answered, however many parts
/// it sends.
fn carry(client: TcpStream, server: UnixStream, meter: &Arc<Meter>) {
    client.set_nodelay(true).unwrap();
    let is_answered = Arc::new(AtomicBool::new(true));
    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (shared, answered) = (meter.clone(), is_answered.clone());
    spawn(move || {
        let cut = to.try_clone().unwrap();
        let mut reads_the_feed = false;
        pass_on(from, to, &shared, &shared.is_cut_there, |bytes| {
            // The connection that reads the feed is not counted: one question there serves all answers that wait.
            reads_the_feed |= bytes.windows(FEED.len()).any(|part| part == FEED);
            if answered.swap(false, Ordering::Relaxed) && !reads_the_feed {
                shared.trips.fetch_add(1, Ordering::Relaxed);
            }
        });
        let _ = cut.shutdown(Shutdown::Both);
    });
    let meter = meter.clone();
    spawn(move || {
        let cut = client.try_clone().unwrap();
        pass_on(server, client, &meter, &meter.is_cut_back, |_| {
            is_answered.store(true, Ordering::Relaxed)
        });
        let _ = cut.shutdown(Shutdown::Both);
    });
}

fn pass_on(
    mut from: impl Read,
    mut to: impl Write,
    meter: &Meter,
    is_cut: &AtomicBool,
    mut passed: impl FnMut(&[u8]),
) {
    let held_up = || {
        while is_cut.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(1));
        }
    };
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        passed(&bytes[..length]);
        let delay = meter.delay.load(Ordering::Relaxed);
        if delay > 0 {
            sleep(Duration::from_micros(delay));
        }
        held_up();
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    // The other end does not learn of a close either.
    held_up();
}
