//! The program itself, as an operator runs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::client::{Client, PASSWORD};
use super::{TIMEOUT, deadline};

/// `oneseat` with these arguments, and with an environment that holds only what the test sets.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oneseat"));
    clear(command.args(args));
    command
}

fn clear(command: &mut Command) -> &mut Command {
    command.env_remove("DATABASE_URL").env_remove("RUST_LOG");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ONESEAT_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end with this text at its standard input.
pub fn oneseat(args: &[&str], input: &str) -> Output {
    oneseat_with(args, &[], input)
}

/// Runs a command with this text at its standard input and these variables in its environment.
pub fn oneseat_with(args: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
    let mut child = begun(args, environment);
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Starts a command, with pipes at its standard input, output and error.
pub fn begun(args: &[&str], environment: &[(&str, &str)]) -> Child {
    let child = command(args)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    deadline::watch_command(&child);
    child
}

/// Adds a verified account with the password of all test users, as an operator does.
pub fn add_user(database_url: &str, email: &str, role: &str) {
    add_user_with(PASSWORD, &["--database-url", database_url], email, role);
}

/// Adds a verified account with another password, in the database that these arguments name.
pub fn add_user_with(password: &str, database: &[&str], email: &str, role: &str) {
    let add = [
        "user",
        "add",
        email,
        "--name",
        "N",
        "--role",
        role,
        "--verified",
        "--password-stdin",
    ];
    let added = oneseat(&[&add[..], database].concat(), &format!("{password}\n"));
    assert!(added.status.success(), "{added:?}");
}

/// A running `oneseat serve`.
pub struct Program {
    _ready: Option<Ready>,
    child: Child,
    /// What it printed to its standard output before it began to serve.
    pub greeting: String,
    pub address: SocketAddr,
    /// The address of its metrics, if it serves any.
    pub metrics_address: Option<SocketAddr>,
    log: Receiver<String>,
}

impl Program {
    /// Serves on any free port over an embedded PostgreSQL in this directory.
    pub fn serve(data_dir: &Path) -> Self {
        Self::serve_logging(data_dir, "info")
    }

    /// Serves like [`serve`](Self::serve), with everything from this level on in its log.
    pub fn serve_logging(data_dir: &Path, level: &str) -> Self {
        let data_dir = data_dir.to_str().unwrap();
        let mut serve = command(&["serve", "--bind", "127.0.0.1:0", "--data-dir", data_dir]);
        Self::started(serve.env("RUST_LOG", level))
    }

    /// Serves with these arguments, on any free port over an embedded PostgreSQL in a directory of its own.
    /// The directory is removed with the second value.
    pub fn alone(args: &[&str]) -> (Self, TempDir) {
        let dir = tempfile::Builder::new()
            .prefix("oneseat-program-")
            .tempdir()
            .unwrap();
        let usual = [
            "--bind",
            "127.0.0.1:0",
            "--data-dir",
            dir.path().to_str().unwrap(),
        ];
        (Self::serve_with(&[&usual, args].concat(), &[]), dir)
    }

    /// A separate process over the database of a test, without a limit of sign-ins.
    pub fn over(database_url: &str) -> Self {
        let args = [
            "--database-url",
            database_url,
            "--bind",
            "127.0.0.1:0",
            "--login-rate",
            "off",
        ];
        Self::serve_with(&args, &[])
    }

    /// Serves with these arguments and these variables in its environment.
    pub fn serve_with(args: &[&str], environment: &[(&str, String)]) -> Self {
        let mut serve = command(&["serve"]);
        let environment = environment.iter().map(|(name, value)| (name, value));
        Self::started(serve.args(args).env("RUST_LOG", "info").envs(environment))
    }

    /// Serves with these arguments in this network namespace.
    pub fn serve_in(namespace: &str, args: &[&str]) -> Self {
        let mut serve = Command::new("ip");
        serve.args(["netns", "exec", namespace, env!("CARGO_BIN_EXE_oneseat"), "serve"]);
        Self::started(clear(&mut serve).args(args).env("RUST_LOG", "info"))
    }

    /// Waits until it serves.
    fn started(serve: &mut Command) -> Self {
        let ready = Ready::of(serve);
        let mut child = serve
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, log) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            stderr
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| lines.send(line))
        });
        let (mut seen, mut metrics_address) = (Vec::new(), None);
        let address = loop {
            match log.recv_timeout(Duration::from_secs(180)) {
                Ok(line) => {
                    let serving = ["serving on http://", "serving on https://"];
                    if let Some(address) = serving.iter().find_map(|words| address_after(words, &line)) {
                        break address;
                    }
                    metrics_address = metrics_address.or(address_after("metrics on http://", &line));
                    seen.push(line);
                }
                Err(_) => panic!("it does not serve: {seen:#?}"),
            }
        };
        // At its first start it prints a greeting before it says that it is ready; the rest of the pipe stays
        // open.
        if let Some(ready) = &ready {
            ready.wait();
        }
        let greeting = read_available(child.stdout.as_mut().unwrap());
        Self {
            _ready: ready,
            child,
            greeting,
            address,
            metrics_address,
            log,
        }
    }

    pub fn visitor(&self) -> Client {
        Client::new(self.address)
    }

    /// The process, to ask the operating system about it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The password in the greeting.
    pub fn first_password(&self) -> String {
        let line = self
            .greeting
            .lines()
            .find(|line| line.contains("password"))
            .unwrap();
        let mut words = line.split_whitespace().skip_while(|word| *word != "password");
        words.nth(1).unwrap().to_owned()
    }

    /// What it has logged since this was last asked.
    pub fn said(&self) -> Vec<String> {
        self.log.try_iter().collect()
    }

    /// Asks it to stop and waits until it has. Returns whether it exited with success, and the rest of its
    /// log.
    pub fn terminate(mut self) -> (bool, Vec<String>) {
        self.signal(Signal::SIGTERM);
        let status = ended(&mut self.child);
        (status.success(), self.rest_of_its_log())
    }

    /// Asks it to stop, without waiting.
    pub fn ask_to_stop(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Freezes it in the middle of its work, until [`thaw`](Self::thaw).
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it run again.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        ended(&mut self.child);
    }

    /// What it has logged until the last process with its standard error has closed that.
    fn rest_of_its_log(&self) -> Vec<String> {
        let mut rest = Vec::new();
        loop {
            match self.log.recv_timeout(TIMEOUT) {
                Ok(line) => rest.push(line),
                Err(RecvTimeoutError::Disconnected) => return rest,
                Err(RecvTimeoutError::Timeout) => panic!("its log has no end: {rest:#?}"),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let _ = kill(pid, signal);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.thaw();
            self.signal(Signal::SIGTERM);
            ended(&mut self.child);
        }
    }
}

/// Waits until it has ended. One that does not end is killed, and the test fails.
fn ended(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let status = child.wait().unwrap();
            assert!(std::thread::panicking(), "it has not ended within {TIMEOUT:?}");
            return status;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The socket to which a server says that it is ready, and later that it stops, as to systemd.
struct Ready {
    socket: UnixDatagram,
    _dir: TempDir,
}

impl Ready {
    /// `None`: the test itself listens.
    fn of(serve: &mut Command) -> Option<Self> {
        if serve.get_envs().any(|(name, _)| name == "NOTIFY_SOCKET") {
            return None;
        }
        let dir = tempfile::Builder::new()
            .prefix("oneseat-ready-")
            .tempdir()
            .unwrap();
        let place = dir.path().join("notify");
        let socket = UnixDatagram::bind(&place).unwrap();
        serve.env("NOTIFY_SOCKET", place);
        Some(Self { socket, _dir: dir })
    }

    fn wait(&self) {
        self.socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        // A server that has ended instead says so in its log.
        let _ = self.socket.recv(&mut [0; 64]);
    }
}

/// The path or address in the line, without the text after it.
fn address_after(words: &str, line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(words)?;
    rest.split(['/', '"']).next()?.parse().ok()
}

fn read_available(pipe: &mut std::process::ChildStdout) -> String {
    nix::fcntl::fcntl(
        &*pipe,
        nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK),
    )
    .unwrap();
    let mut text = Vec::new();
    // Returns "would block" where a blocking read would wait for more.
    let _ = pipe.read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}
