//! A minimal HTTP client: single requests and open event streams.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

const PATIENCE: Duration = Duration::from_secs(10);

/// The body of a 200 to a GET with one header line.
pub fn get(address: SocketAddr, path: &str, header: &str) -> Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{header}\r\nConnection: close\r\n\r\n");
    ask(address, &request).with_context(|| format!("GET {path}"))
}

/// The body of a 200 or 204 to a POST of JSON.
pub fn post(address: SocketAddr, path: &str, body: &str) -> Result<String> {
    post_with(address, path, "Content-Type: application/json", body)
}

/// Like [`post`], with another header line.
pub fn post_with(address: SocketAddr, path: &str, header: &str, body: &str) -> Result<String> {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\n{header}\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    ask(address, &request).with_context(|| format!("POST {path}"))
}

fn ask(address: SocketAddr, request: &str) -> Result<String> {
    let mut stream = connect(address)?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8(answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    expect_ok(head)?;
    Ok(body.to_owned())
}

fn expect_ok(head: &str) -> Result<()> {
    let status = head.lines().next().unwrap_or_default();
    if !matches!(status.split_whitespace().nth(1), Some("200" | "204")) {
        bail!("the answer is neither 200 nor 204: {status}");
    }
    Ok(())
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A stream of events, once the server has sent the first piece of it.
pub fn open_stream(address: SocketAddr, path: &str, header: &str) -> Result<TcpStream> {
    let mut stream = connect(address)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{header}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut seen = Vec::new();
    let mut piece = [0; 2048];
    loop {
        let length = stream.read(&mut piece)?;
        seen.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&seen);
        if length == 0 {
            bail!("the stream ended: {text}");
        }
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            expect_ok(head)?;
            if !body.is_empty() {
                return Ok(stream);
            }
        }
    }
}

/// A free port, for a server that cannot choose one by itself.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
