//! A real SMTP server, and the mails that it received.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use oneseat::config::{MailConfig, MailPolicy, ServeConfig};

/// Longer than the outbox's rounds and one retry.
const TIMEOUT: Duration = Duration::from_secs(90);

/// A mail as its recipient sees it.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The whole message, with folded lines joined.
    pub raw: String,
    /// The same as the server got it.
    pub wire: String,
}

/// aiosmtpd on a port of its own, without SMTPUTF8. It demands a qualified name. It refuses `nobody@`, and
/// `once@` at the first try only; it refuses `bare@` without an enhanced code; and it does not relay to
/// `relay@`.
pub struct MailServer {
    port: u16,
    running: Option<(Child, Receiver<Mail>)>,
}

impl MailServer {
    pub fn start() -> Self {
        let mut server = Self::stopped();
        server.resume();
        server
    }

    /// A port that nothing listens on yet.
    pub fn stopped() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            port: free.local_addr().unwrap().port(),
            running: None,
        }
    }

    /// Listens from now on.
    pub fn resume(&mut self) {
        let mut child = Command::new("/usr/bin/python3")
            .args(["-u", "-m", "aiosmtpd", "-n", "-c", "mailbox.Mailbox", "-l"])
            .arg(format!("127.0.0.1:{}", self.port))
            .env(
                "PYTHONPATH",
                concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support"),
            )
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("aiosmtpd is missing: script/test installs it");
        let (mails, received) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            let mut raw: Option<String> = None;
            for line in lines.map_while(Result::ok) {
                if line.starts_with("---------- MESSAGE FOLLOWS") {
                    raw = Some(String::new());
                } else if line.starts_with("------------ END MESSAGE") {
                    let wire = raw.take().unwrap_or_default();
                    let _ = mails.send(Mail {
                        raw: unquoted(&wire),
                        wire,
                    });
                } else if let Some(raw) = &mut raw {
                    raw.push_str(&line);
                    raw.push('\n');
                }
            }
        });
        let deadline = Instant::now() + TIMEOUT;
        while TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], self.port))).is_err() {
            assert!(Instant::now() < deadline, "the SMTP server does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.running = Some((child, received));
    }

    /// The URL for `--smtp-url`.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// Makes an instance send its mails here.
    pub fn configure(&self, config: &mut ServeConfig) {
        config.mail = Some(MailConfig::Smtp {
            url: self.url(),
            from: "oneseat <seat@example.org>".to_owned(),
        });
        config.policy.mail = MailPolicy::NewPlaces;
        config.policy.takes_utf8_addresses = false;
    }

    /// The next mail.
    pub async fn next(&self) -> Mail {
        let (_, mails) = self.running.as_ref().unwrap();
        let deadline = Instant::now() + TIMEOUT;
        loop {
            match mails.recv_timeout(Duration::from_millis(1)) {
                Ok(mail) => return mail,
                Err(RecvTimeoutError::Disconnected) => panic!("the SMTP server died"),
                Err(RecvTimeoutError::Timeout) => {
                    assert!(Instant::now() < deadline, "no mail came");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    /// The mails that came and that the test has not taken.
    pub fn unread(&self) -> Vec<Mail> {
        let (_, mails) = self.running.as_ref().unwrap();
        mails.try_iter().collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Mail {
    /// A header line of the mail.
    pub fn header(&self, name: &str) -> &str {
        let start = format!("{name}: ");
        self.raw
            .lines()
            .find_map(|line| line.strip_prefix(&start))
            .unwrap_or_default()
    }

    /// The text for programs that show no HTML.
    pub fn text(&self) -> &str {
        let (_, boundary) = self.raw.split_once("boundary=\"").unwrap();
        let (boundary, _) = boundary.split_once('"').unwrap();
        let (_, part) = self.raw.split_once("Content-Type: text/plain").unwrap();
        let (_, text) = part.split_once("\n\n").unwrap();
        text.split_once(&format!("--{boundary}")).unwrap().0.trim_end()
    }

    /// The link in the mail, from the path on: `/reset#..`.
    pub fn link(&self) -> String {
        let line = self
            .raw
            .lines()
            .find(|line| line.starts_with("http") && line.contains('#'))
            .unwrap_or_else(|| panic!("there is no link in {self:?}"));
        let url = url::Url::parse(line).unwrap();
        format!("{}#{}", url.path(), url.fragment().unwrap())
    }

    /// The token of that link.
    pub fn token(&self) -> String {
        self.link().split_once('#').unwrap().1.to_owned()
    }
}

/// Decodes quoted-printable (RFC 2045 6.7), as far as the text is ASCII.
fn unquoted(raw: &str) -> String {
    let mut text = String::new();
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('=') {
        text.push_str(before);
        let byte = after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        rest = match byte {
            _ if after.starts_with('\n') => &after[1..],
            Some(byte) if after[..2] == after[..2].to_uppercase() => {
                text.push(char::from(byte));
                &after[2..]
            }
            _ => {
                text.push('=');
                after
            }
        };
    }
    text.push_str(rest);
    text
}
