//! The messages that systemd gets from `oneseat serve`.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{Database, Program};

/// The next message.
fn heard(socket: &UnixDatagram) -> String {
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut words = [0; 64];
    let length = socket.recv(&mut words).unwrap();
    String::from_utf8(words[..length].to_vec()).unwrap()
}

async fn it_says_when_it_serves_and_when_it_stops(
    socket: &UnixDatagram,
    place: &str,
    database: (&str, &str),
) {
    let environment = [("NOTIFY_SOCKET", place.to_owned())];
    let args = ["--bind", "127.0.0.1:0", database.0, database.1];
    let program = Program::serve_with(&args, &environment);
    assert_eq!(heard(socket), "READY=1");
    assert_eq!(program.visitor().get("/readyz").await.status, 200);
    let (stopped, log) = program.terminate();
    assert!(stopped, "{log:?}");
    assert_eq!(heard(socket), "STOPPING=1");
    socket.set_nonblocking(true).unwrap();
    assert!(socket.recv(&mut [0; 64]).is_err(), "it said more than that");
}

#[tokio::test]
async fn a_socket_in_a_directory_hears_it() {
    let dir = TempDir::new().unwrap();
    let place = dir.path().join("notify");
    let socket = UnixDatagram::bind(&place).unwrap();
    let database = Database::fresh();
    let database = ("--database-url", database.url());
    it_says_when_it_serves_and_when_it_stops(&socket, place.to_str().unwrap(), database).await;
}

#[tokio::test]
async fn a_socket_without_a_directory_hears_it() {
    let name = format!("oneseat-test-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    // A private PostgreSQL could send messages there, too.
    let data_dir = tempfile::Builder::new()
        .prefix("oneseat-notify-")
        .tempdir()
        .unwrap();
    let database = ("--data-dir", data_dir.path().to_str().unwrap());
    it_says_when_it_serves_and_when_it_stops(&socket, &format!("@{name}"), database).await;
}

#[tokio::test]
async fn it_serves_where_nobody_listens() {
    let database = Database::fresh();
    let environment = [
        ("NOTIFY_SOCKET", "/nowhere/notify".to_owned()),
        ("DATABASE_URL", database.url().to_owned()),
    ];
    let program = Program::serve_with(&["--bind", "127.0.0.1:0"], &environment);
    assert_eq!(program.visitor().get("/readyz").await.status, 200);
    let (stopped, log) = program.terminate();
    assert!(
        stopped && log.iter().any(|line| line.contains("NOTIFY_SOCKET")),
        "{log:?}"
    );
}
