//! A server behind a gateway that records what it receives.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Gives each request the same answer.
pub struct Upstream {
    pub address: SocketAddr,
    requests: Receiver<Request>,
    begun: Arc<AtomicUsize>,
}

/// A request that was received.
#[derive(Debug, Default)]
pub struct Request {
    /// Method, target, version.
    pub line: String,
    /// The header lines, in their order.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Upstream {
    /// Answers with this end of the status line and these headers, each with its line break.
    pub fn answering(status: &str, headers: &str) -> Self {
        Self::saying(&format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: 2\r\nConnection: close\r\n\r\nok"
        ))
    }

    /// Answers with these bytes, and closes the connection.
    pub fn saying(answer: &str) -> Self {
        let answer: Arc<str> = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        let begun = Arc::new(AtomicUsize::new(0));
        let count = begun.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (sender, count, answer) = (sender.clone(), count.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &sender, &count, &answer));
            }
        });
        Self {
            address,
            requests,
            begun,
        }
    }

    /// How many requests have come, or have begun to come.
    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    /// An application that accepts everything.
    pub fn application() -> Self {
        Self::answering("200 OK", "")
    }

    /// The one request that came since the last call.
    pub fn only_request(&self) -> Request {
        let mut all = self.requests();
        assert_eq!(all.len(), 1, "{all:#?}");
        all.remove(0)
    }

    /// All requests that came since the last call.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }
}

fn serve(mut stream: TcpStream, sender: &Sender<Request>, count: &AtomicUsize, answer: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    if reader.fill_buf().is_ok_and(|begun| !begun.is_empty()) {
        count.fetch_add(1, Ordering::SeqCst);
    }
    // A connection without a request only checks that the server is there.
    let Some(request) = read(&mut reader) else {
        return;
    };
    let _ = sender.send(request);
    let _ = stream.write_all(answer.as_bytes());
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut request = Request::default();
    for line in reader.lines() {
        let line = line.ok()?;
        match line.split_once(": ") {
            _ if line.is_empty() => break,
            Some((name, value)) if !request.line.is_empty() => {
                request.headers.push((name.to_owned(), value.to_owned()));
            }
            _ => request.line = line,
        }
    }
    let length = request.variables().remove("HTTP_CONTENT_LENGTH");
    if let Some(length) = length.and_then(|lengths| lengths[0].parse().ok()) {
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        request.body = String::from_utf8(body).unwrap();
    } else if request.variables().contains_key("HTTP_TRANSFER_ENCODING") {
        request.body = chunks(reader)?;
    }
    (!request.line.is_empty()).then_some(request)
}

fn chunks(reader: &mut impl BufRead) -> Option<String> {
    let mut body = String::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        if size == 0 {
            return Some(body);
        }
        body += std::str::from_utf8(&chunk[..size]).unwrap();
    }
}

impl Request {
    /// The headers as a CGI-style runtime names them for its application (RFC 3875 4.1.18), with every
    /// separator treated like `-`.
    pub fn variables(&self) -> BTreeMap<String, Vec<&str>> {
        let mut variables = BTreeMap::<_, Vec<&str>>::new();
        for (name, value) in &self.headers {
            let folded = name.replace(|sign: char| !sign.is_ascii_alphanumeric(), "_");
            let name = format!("HTTP_{}", folded.to_ascii_uppercase());
            variables.entry(name).or_default().push(value);
        }
        variables
    }

    /// The value that the application reads for this header.
    pub fn variable(&self, name: &str) -> Vec<&str> {
        self.variables().remove(name).unwrap_or_default()
    }
}
