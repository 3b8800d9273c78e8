//! A network between a browser and a server that holds answers back until a test releases them.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::TIMEOUT;

/// An answer that the server has given and the browser has not received. If it is dropped, the connection is
/// cut.
pub struct Held(oneshot::Sender<()>);

impl Held {
    /// Sends it to the browser.
    pub fn deliver(self) {
        // The browser may have closed the connection meanwhile.
        let _ = self.0.send(());
    }
}

/// What the connections share.
struct Road {
    server: SocketAddr,
    /// The request lines so far.
    asked: Mutex<Vec<String>>,
    /// The heads of these requests, in lower case.
    heads: Mutex<Vec<String>>,
    /// The request lines whose answers are complete, with the bytes of each answer and its head.
    answered: Mutex<Vec<(String, u64)>>,
    /// Prefixes of the request lines whose answers are held back.
    holds: Mutex<Option<&'static str>>,
    /// Prefixes of request lines that never reach the server, with the answers that they get instead; each is
    /// used once.
    instead: Mutex<Vec<(&'static str, String)>>,
    held: mpsc::UnboundedSender<Held>,
}

impl Road {
    fn instead(&self, line: &str) -> Option<String> {
        let mut instead = self.instead.lock().unwrap();
        let at = instead
            .iter()
            .position(|(request, _)| line.starts_with(request))?;
        Some(instead.remove(at).1)
    }
}

/// A gate in front of one server.
pub struct Gate {
    /// The address for the browser, in place of the server's own.
    pub address: SocketAddr,
    road: Arc<Road>,
    held: mpsc::UnboundedReceiver<Held>,
    accepting: JoinHandle<()>,
}

impl Gate {
    /// Lets everything through.
    pub async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, held) = mpsc::unbounded_channel();
        let road = Arc::new(Road {
            server,
            asked: Mutex::default(),
            heads: Mutex::default(),
            answered: Mutex::default(),
            holds: Mutex::default(),
            instead: Mutex::default(),
            held: sender,
        });
        let shared = road.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, shared.clone()));
            }
        });
        Self {
            address,
            road,
            held,
            accepting,
        }
    }

    /// Holds answers to these requests back from now on, for example to `POST /auth/login`.
    pub fn hold(&self, request: &'static str) {
        *self.road.holds.lock().unwrap() = Some(request);
    }

    /// Holds no further answer back.
    pub fn hold_nothing(&self) {
        *self.road.holds.lock().unwrap() = None;
    }

    /// The next of these requests that has no other such answer gets this one: the end of a status line,
    /// headers and a body.
    pub fn answer_once(&self, request: &'static str, status: &str, headers: &str, body: &str) {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        self.road.instead.lock().unwrap().push((request, answer));
    }

    /// The next answer that is held back, as soon as the server has given it.
    pub async fn held(&mut self) -> Held {
        let held = timeout(TIMEOUT, self.held.recv()).await;
        held.expect("no answer to keep back").unwrap()
    }

    /// How often this request was made.
    pub fn asked(&self, request: &str) -> usize {
        let asked = self.road.asked.lock().unwrap();
        asked.iter().filter(|line| line.starts_with(request)).count()
    }

    /// The head of the last request of this kind, in lower case.
    pub fn head(&self, request: &str) -> String {
        let (request, heads) = (request.to_lowercase(), self.road.heads.lock().unwrap());
        let last = heads.iter().rfind(|head| head.starts_with(&request));
        last.unwrap_or_else(|| panic!("nobody asked for {request}"))
            .clone()
    }
}

impl Gate {
    /// The requests so far and the bytes of their answers, once each has one.
    pub async fn answered(&self) -> Vec<(String, u64)> {
        let all = || {
            let answered = self.road.answered.lock().unwrap().clone();
            (answered.len() == self.asked("")).then_some(answered)
        };
        super::eventually("each request is answered", async || all().is_some()).await;
        all().unwrap()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One request and its answer.
async fn carry(mut client: TcpStream, road: Arc<Road>) -> io::Result<()> {
    let (line, request) = read(&mut client).await?;
    let head = String::from_utf8_lossy(&request).to_lowercase();
    let (head, _) = head.split_once("\r\n\r\n").unwrap_or_default();
    road.heads.lock().unwrap().push(head.to_owned());
    road.asked.lock().unwrap().push(line.clone());
    let is_held = road
        .holds
        .lock()
        .unwrap()
        .is_some_and(|held| line.starts_with(held));
    if let Some(answer) = road.instead(&line) {
        client.write_all(answer.as_bytes()).await?;
        return client.shutdown().await;
    }
    let mut server = TcpStream::connect(road.server).await?;
    server.write_all(&request).await?;
    if !is_held {
        let (_, bytes) = copy_bidirectional(&mut client, &mut server).await?;
        road.answered.lock().unwrap().push((line, bytes));
        return Ok(());
    }
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    let (deliver, delivered) = oneshot::channel();
    let _ = road.held.send(Held(deliver));
    if delivered.await.is_ok() {
        client.write_all(&answer).await?;
        client.shutdown().await?;
    }
    Ok(())
}

/// The first line of a request, and the request as it is forwarded: for one answer on one connection.
async fn read(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let named = |line: &str, name: &str| line.to_ascii_lowercase().starts_with(name);
    let length = head
        .lines()
        .find(|line| named(line, "content-length:"))
        .map_or(0, |line| line["content-length:".len()..].trim().parse().unwrap());
    while body.len() < length {
        if client.read_buf(&mut body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let mut lines: Vec<&str> = head
        .trim_end()
        .lines()
        .filter(|line| !named(line, "connection:"))
        .collect();
    lines.push("Connection: close");
    let request = [format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes(), &body].concat();
    Ok((lines[0].to_owned(), request))
}
