//! A server without SMTP prints mails on the terminal, and nowhere else.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::{NEW, forgot, reset};
use crate::support::{Client, Program};

const ADMIN: &str = "admin@localhost";

/// `oneseat serve` over an embedded PostgreSQL, on a terminal that `script` gives it.
struct OnATerminal {
    script: Child,
    lines: Receiver<String>,
    address: SocketAddr,
}

impl OnATerminal {
    fn serve(data_dir: &Path) -> Self {
        let command = format!(
            "exec {} serve --bind 127.0.0.1:0 --data-dir {}",
            env!("CARGO_BIN_EXE_oneseat"),
            data_dir.display()
        );
        let mut script = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .env_remove("DATABASE_URL")
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (told, lines) = channel();
        let output = BufReader::new(script.stdout.take().unwrap());
        std::thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| told.send(line))
        });
        let serving = line_with(&lines, "serving on http://");
        let (_, address) = serving.split_once("http://").unwrap();
        Self {
            script,
            address: address.trim().parse().unwrap(),
            lines,
        }
    }
}

impl Drop for OnATerminal {
    fn drop(&mut self) {
        // Ctrl-C, as a user types it.
        let _ = self.script.stdin.as_mut().unwrap().write_all(b"\x03");
        let _ = self.script.wait();
    }
}

/// The next line that contains these words.
fn line_with(lines: &Receiver<String>, words: &str) -> String {
    let mut seen = Vec::new();
    while let Ok(line) = lines.recv_timeout(Duration::from_secs(60)) {
        if line.contains(words) {
            return line;
        }
        seen.push(line);
    }
    panic!("{words:?} is not in {seen:#?}");
}

fn data_dir() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("oneseat-terminal-")
        .tempdir()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_tries_things_out_reads_the_mails_on_the_terminal() {
    let dir = data_dir();
    let program = OnATerminal::serve(dir.path());
    let visitor = Client::new(program.address);
    assert_eq!(forgot(&visitor, ADMIN).await.status, 202);
    assert!(line_with(&program.lines, "To  ").contains(ADMIN));
    assert!(line_with(&program.lines, "Subject  ").contains("Choose a new password"));
    let link = line_with(&program.lines, "/reset#");
    let (page, token) = link.trim().split_once('#').unwrap();
    assert_eq!(page, format!("http://{}/reset", program.address));
    assert_eq!(reset(&visitor, token, NEW).await.status, 200);
    assert_eq!(visitor.login(ADMIN, NEW).await.status, 200);
}

#[tokio::test]
async fn without_a_terminal_no_mail_is_promised_and_none_is_in_what_is_kept_of_the_output() {
    let dir = data_dir();
    let program = Program::serve(dir.path());
    assert_eq!(forgot(&program.visitor(), ADMIN).await.problem(), "404 no_mail");
    let (stopped, log) = program.terminate();
    assert!(stopped && !log.iter().any(|line| line.contains("/reset#")));
}
