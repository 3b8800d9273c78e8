//! Real gateways, with the very configurations that the pages show: in front of applications, as docs/forward-auth.md says, and in front
//! of oneseat itself, as docs/proxies.md says.

mod connection;
mod front;
mod guard;
mod kinds;
mod pages;
mod refusals;
mod streams;
mod upstream;

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::CertificateDer;

pub use kinds::Kind;

/// Exceeded by no gateway, even on a busy machine.
const SLOWEST_START: Duration = Duration::from_secs(60);

/// Time-outs as on the pages, and replacements that no busy machine reaches: the tests do not measure speed.
const TIMEOUTS: [(&str, &str); 13] = [
    ("client_header_timeout  10s", "client_header_timeout  600s"),
    ("client_body_timeout    10s", "client_body_timeout    600s"),
    ("proxy_read_timeout       60s", "proxy_read_timeout       600s"),
    ("read_header 10s", "read_header 600s"),
    ("read_body 10s", "read_body 600s"),
    ("timeout  connect       5s", "timeout  connect       600s"),
    ("timeout  client        60s", "timeout  client        600s"),
    ("timeout  server        60s", "timeout  server        600s"),
    ("timeout  http-request  10s", "timeout  http-request  600s"),
    ("timeout = 5000", "timeout = 600000"),
    ("http.TIMEOUT = 5\n", "http.TIMEOUT = 600\n"),
    ("header=10 body=10", "header=600 body=600"),
    ("ProxyTimeout       60", "ProxyTimeout       600"),
];

/// What a gateway does, and for which server.
#[derive(Clone, Copy, Debug)]
pub enum Task {
    /// Lets signed-in users through to this application.
    Guard(SocketAddr),
    /// Lets admins through to this application.
    GuardForAdmins(SocketAddr),
    /// Lets nobody through: the gateway's own program that asks oneseat, if it has one, ends in an error.
    GuardWithAnError(SocketAddr),
    /// Stands in front of oneseat itself.
    Front,
    /// Stands in front of such a gateway: an nginx with no settings for event streams.
    FrontOfAnother,
}

/// A running gateway, ended with the value.
pub struct Gateway {
    child: Child,
    pub kind: Kind,
    /// The address for its clients.
    pub address: SocketAddr,
    /// The address for clients without TLS, in front of oneseat.
    pub plain: SocketAddr,
    /// The certificate of `seat.example.org`, in front of oneseat.
    pub certificate: CertificateDer<'static>,
    _dir: TempDir,
}

/// Replacements in the configuration that the page shows.
pub struct Site {
    dir: PathBuf,
    task: Task,
    address: SocketAddr,
    plain: SocketAddr,
    oneseat: SocketAddr,
}

impl Site {
    /// The code block in this language below this heading, with the addresses and the files of the test.
    fn shown(&self, heading: &str, language: &str) -> String {
        let page = match self.task {
            Task::Front => include_str!("../../../docs/proxies.md"),
            _ => include_str!("../../../docs/forward-auth.md"),
        };
        let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
        let (section, _) = section.split_once("\n## ").unwrap();
        let (_, text) = section.split_once(&format!("```{language}\n")).unwrap();
        self.filled(text.split_once("```").unwrap().0)
    }

    fn filled(&self, text: &str) -> String {
        let mut text = text
            .replace("127.0.0.1:8000", &self.address.to_string())
            .replace("127.0.0.1:8080", &self.oneseat.to_string());
        for (shown, long) in TIMEOUTS {
            text = text.replace(shown, long);
        }
        for installed in ["/etc/ssl/seat", "/etc/haproxy", "/etc/apache2"] {
            text = text.replace(installed, self.dir.to_str().unwrap());
        }
        match self.task {
            Task::Front | Task::FrontOfAnother => text,
            Task::Guard(application) => text.replace("127.0.0.1:3000", &application.to_string()),
            Task::GuardForAdmins(application) => text
                .replace("127.0.0.1:3000", &application.to_string())
                .replace("/auth/verify?", "/auth/verify")
                .replace("/auth/verify", "/auth/verify?role=admin"),
            Task::GuardWithAnError(application) => text
                .replace("127.0.0.1:3000", &application.to_string())
                .replace("core.httpclient()", "core.nothing()")
                .replace("http.request(", "http.nothing("),
        }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.dir.join(name);
        std::fs::write(&file, text).unwrap();
        file
    }
}

impl Gateway {
    /// A gateway with the configuration of its page, in front of this oneseat. Waits until it answers.
    pub async fn start(kind: Kind, task: Task, oneseat: SocketAddr) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("oneseat-gateway-")
            .tempdir()
            .unwrap();
        let [address, plain] = free_addresses();
        let site = Site {
            dir: dir.path().to_owned(),
            task,
            address,
            plain,
            oneseat,
        };
        let certificate = certificate(dir.path());
        let words = site.write("words", "");
        let mut child = kind
            .command(&site)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&words).unwrap())
            .spawn()
            .expect("a gateway is missing: script/install test installs it");
        let deadline = Instant::now() + SLOWEST_START;
        while TcpStream::connect(site.address).is_err() {
            let (has_ended, words) = (child.try_wait().unwrap(), std::fs::read_to_string(&words));
            assert_eq!(has_ended, None, "{kind:?} does not start: {words:?}");
            assert!(Instant::now() < deadline, "{kind:?} does not answer: {words:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self {
            child,
            kind,
            address: site.address,
            plain: site.plain,
            certificate,
            _dir: dir,
        }
    }

    /// One gateway of each kind.
    pub async fn of_all_kinds(task: Task, oneseat: SocketAddr) -> Vec<Self> {
        let mut all = Vec::new();
        for kind in Kind::ALL {
            all.push(Self::start(kind, task, oneseat).await);
        }
        all
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two addresses at which nothing listens. The host is used by this call only (all of 127.0.0.0/8 is this
/// machine), so that no other test takes the addresses before the server they are for.
pub fn free_addresses() -> [SocketAddr; 2] {
    static CALLS: AtomicU8 = AtomicU8::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    let host = [127, 1 + high % 254, low, CALLS.fetch_add(1, Ordering::Relaxed)];
    let free = [(); 2].map(|()| TcpListener::bind(SocketAddr::from((host, 0))).unwrap());
    free.map(|free| free.local_addr().unwrap())
}

/// A certificate and its key where the configurations look for them.
fn certificate(dir: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["seat.example.org".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    for (name, text) in [
        ("fullchain.pem", &certificate),
        ("privkey.pem", &key),
        ("seat.pem", &format!("{certificate}{key}")),
    ] {
        std::fs::write(dir.join(name), text).unwrap();
    }
    made.cert.der().clone()
}

#[test]
fn every_timeout_that_is_a_long_one_here_is_on_a_page() {
    let pages = [
        include_str!("../../../docs/forward-auth.md"),
        include_str!("../../../docs/proxies.md"),
    ];
    for (shown, _) in TIMEOUTS {
        assert!(pages.concat().contains(shown), "{shown}");
    }
}

/// Does this program run as root?
fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Runs a program with this file as its configuration.
fn program(name: &str, arguments: &[&str], file: &Path) -> Command {
    let mut command = Command::new(name);
    command.args(arguments).arg(file);
    command
}
