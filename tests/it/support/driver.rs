//! The WebDriver of a browser, as a process of the test.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where `script/install` puts Firefox's driver.
const GECKODRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/bin/geckodriver");

/// The size of a window, in CSS pixels.
pub const WIDTH: u32 = 1280;
pub const HEIGHT: u32 = 900;

/// Waits until this process has ended, however it ends, and then ends the driver, which ends its browser.
const REAPER: &str = r#"trap '' INT TERM
read -r word
[ "$word" = ended ] || curl -s -m 20 -o /dev/null "$0/shutdown"
rm -rf "$1""#;

/// The browsers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Chromium,
    Firefox,
    /// WebKitGTK, in its own small browser.
    WebKit,
}

/// A driver on a port of its own. It ends together with its browser.
pub struct Driver {
    pub engine: Engine,
    child: Child,
    port: u16,
    reaper: Child,
    /// The session of the browser.
    pub session: Option<String>,
    profile: TempDir,
    _screen: Option<Screen>,
}

impl Driver {
    /// Another process may take the port before the driver listens there; then the driver ends.
    pub fn start(engine: Engine) -> Self {
        std::iter::repeat_with(|| Self::try_start(engine))
            .take(5)
            .find_map(|driver| driver)
            .expect("the driver names its port")
    }

    fn try_start(engine: Engine) -> Option<Self> {
        let profile = tempfile::tempdir().unwrap();
        let mut screen = None;
        let mut port = free_port();
        let mut command = match engine {
            Engine::Chromium => {
                let mut command = Command::new("chromedriver");
                command.arg("--port=0");
                command
            }
            Engine::Firefox => {
                let mut command = Command::new(GECKODRIVER);
                // Firefox keeps more than its profile in this directory.
                command.env("HOME", profile.path());
                command.args(["--port", "0", "--websocket-port", "0"]);
                command
            }
            Engine::WebKit => {
                let shown = Screen::start();
                let mut command = Command::new("WebKitWebDriver");
                command.arg(format!("--port={port}"));
                command.env("DISPLAY", &shown.name).env("HOME", profile.path());
                screen = Some(shown);
                command
            }
        };
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the driver is missing: script/install test installs it");
        let stdout = child.stdout.take().unwrap();
        let is_there = match engine {
            Engine::Chromium => said_port(stdout, "started successfully on port "),
            Engine::Firefox => said_port(stdout, "Listening on 127.0.0.1:"),
            Engine::WebKit => answers(port).then_some(port),
        };
        let Some(named) = is_there else {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        };
        port = named;
        let reaper = Command::new("sh")
            .args(["-c", REAPER, &format!("http://127.0.0.1:{port}")])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        Some(Self {
            engine,
            child,
            reaper,
            port,
            session: None,
            profile,
            _screen: screen,
        })
    }

    /// The address at which it takes commands.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The capabilities with which the browser is started.
    pub fn capabilities(&self) -> Value {
        match self.engine {
            Engine::Chromium => json!({
                "goog:chromeOptions": { "args": self.chromium_args() },
                "pageLoadStrategy": "normal",
            }),
            Engine::Firefox => json!({
                "moz:firefoxOptions": { "binary": "/usr/bin/firefox-esr", "args": ["-headless"] },
                "pageLoadStrategy": "normal",
            }),
            Engine::WebKit => json!({
                "webkitgtk:browserOptions": { "binary": mini_browser(), "args": ["--automation"] },
            }),
        }
    }

    fn chromium_args(&self) -> Vec<String> {
        let args = [
            "--headless",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ];
        let mut args: Vec<String> = args.map(str::to_owned).into();
        args.push(format!("--window-size={WIDTH},{HEIGHT}"));
        args.push(format!("--user-data-dir={}", self.profile.path().display()));
        // Chromium refuses its sandbox to root.
        if nix::unistd::geteuid().is_root() {
            args.push("--no-sandbox".to_owned());
        }
        args
    }

    /// Kills the browser, not the driver.
    pub fn kill_browser(&self) {
        let browsers = children(self.child.id());
        assert!(!browsers.is_empty(), "the driver has started a browser");
        for browser in browsers {
            kill(browser, Signal::SIGKILL).unwrap();
        }
    }

    fn request(&self, head: &str) {
        if let Ok(mut driver) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) {
            let _ = driver.set_read_timeout(Some(Duration::from_secs(20)));
            let _ = write!(
                driver,
                "{head} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n",
                self.port
            );
            let _ = driver.read_to_end(&mut Vec::new());
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Both of these end the browser, too; killing the driver would leave it running.
        match (self.engine, self.session.take()) {
            (Engine::Chromium, _) => self.request("GET /shutdown"),
            (Engine::Firefox | Engine::WebKit, Some(session)) => {
                self.request(&format!("DELETE /session/{session}"));
            }
            (Engine::Firefox | Engine::WebKit, None) => {}
        }
        if self.engine != Engine::Chromium {
            for browser in children(self.child.id()) {
                let _ = kill(browser, Signal::SIGKILL);
            }
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        // The port may be another driver's now.
        if let Some(mut told) = self.reaper.stdin.take() {
            let _ = writeln!(told, "ended");
        }
        let _ = self.reaper.wait();
    }
}

/// A virtual screen, for a browser that needs one.
struct Screen {
    child: Child,
    name: String,
}

impl Screen {
    fn start() -> Self {
        let mut child = Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                &format!("{WIDTH}x{HEIGHT}x24"),
                "-nolisten",
                "tcp",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is missing: script/install test installs it");
        let mut number = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut number)
            .unwrap();
        let name = format!(":{}", number.trim());
        Self { child, name }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The port that a driver prints after these words.
fn said_port(stdout: impl Read + Send + 'static, words: &str) -> Option<u16> {
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let port = lines.find_map(|line| {
        let (_, port) = line.split_once(words)?;
        port.trim_end_matches('.').parse().ok()
    })?;
    // Reads on, so that the driver never blocks on a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    Some(port)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits until a process listens there.
fn answers(port: u16) -> bool {
    (0..300).any(|_| {
        let is_there = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        if !is_there {
            std::thread::sleep(Duration::from_millis(50));
        }
        is_there
    })
}

/// The processes that this one has started.
fn children(parent: u32) -> Vec<Pid> {
    let path = format!("/proc/{parent}/task");
    let tasks = fs::read_dir(path).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|pids| pids.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|pid| Some(Pid::from_raw(pid.parse().ok()?)))
        .collect()
}

/// Debian does not put this program into the search path.
fn mini_browser() -> String {
    let dirs = fs::read_dir("/usr/lib").unwrap().flatten();
    let found = dirs
        .map(|dir| dir.path().join("webkit2gtk-4.1/MiniBrowser"))
        .find(|program| program.exists());
    found
        .expect("MiniBrowser is missing: script/install test installs it")
        .display()
        .to_string()
}
