//! Who takes a letter away: an SMTP server, or the terminal of a server that has none.

use std::fmt;
use std::io::Write;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp;
use lettre::{Address, Message, SmtpTransport, Transport};
use percent_encoding::percent_decode_str;
use tokio::sync::oneshot;
use url::Url;

use super::Letter;
use crate::foreign_words::cleaned;

/// How long one step of the SMTP dialogue may take. All of them together are over before others take the mail for lost.
const SMTP_TIMEOUT: Duration = Duration::from_secs(20);

/// The way a letter goes.
#[derive(Clone, Debug)]
pub enum Carrier {
    /// To an SMTP server.
    Smtp(Box<Smtp>),
    /// To standard output, for somebody who tries things out.
    Terminal,
}

/// An SMTP server, and who writes.
#[derive(Clone)]
pub struct Smtp {
    transport: SmtpTransport,
    from: Mailbox,
    /// Its credentials in the forms in which it may repeat them.
    secrets: Vec<String>,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Smtp(..)")
    }
}

/// The letter is not on its way. No word of what it says.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// It may be another time.
    #[error("{0}")]
    Yet(String),
    /// There is nobody there.
    #[error("{0}")]
    Ever(String),
}

/// What an SMTP server says when there is nobody behind the address, or nobody any more (RFC 3463 3.2, 3.3). A refusal without one of
/// these may as well be about the sender, the password or the relaying, all of which an operator can mend.
const NOBODY: [&str; 6] = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"];

impl Carrier {
    /// `url` as in `smtps://user:password@host:465` or `smtp://host:587?tls=required`; `from` as in `oneseat <seat@example.org>`.
    /// Connects to nobody yet.
    ///
    /// # Errors
    /// Which of the two cannot be used, in words that do not repeat the URL.
    pub fn smtp(url: &str, from: &str) -> Result<Self, String> {
        const UNUSABLE: &str = "the SMTP server's URL cannot be used";
        let transport = SmtpTransport::from_url(url).map_err(|_| UNUSABLE)?;
        Ok(Self::Smtp(Box::new(Smtp {
            transport: transport.timeout(Some(SMTP_TIMEOUT)).build(),
            from: from.parse().map_err(|_| format!("no sender of mail: {from}"))?,
            secrets: secrets_of(&Url::parse(url).map_err(|_| UNUSABLE)?),
        })))
    }

    /// Hands the letter over, on a thread of its own: a stop waits without end for those of the runtime, and a server may take its
    /// time.
    ///
    /// # Errors
    /// The server's own words, or the network's, without what is nobody's business.
    pub async fn carry(&self, to: String, letter: Letter) -> Result<(), NotSent> {
        let (told, carried) = oneshot::channel();
        let carrier = self.clone();
        thread::Builder::new()
            .name("mail".to_owned())
            .spawn(move || told.send(carrier.send(&to, &letter)))
            .map_err(|error| NotSent::Yet(error.to_string()))?;
        carried.await.map_err(|error| NotSent::Yet(error.to_string()))?
    }

    fn send(&self, to: &str, letter: &Letter) -> Result<(), NotSent> {
        match self {
            Self::Smtp(smtp) => {
                let address: Address = to
                    .parse()
                    .map_err(|_| NotSent::Ever("no address for SMTP".to_owned()))?;
                let message = Message::builder()
                    .from(smtp.from.clone())
                    .to(Mailbox::new(None, address))
                    .subject(letter.subject)
                    .message_id(None)
                    // No answer from a machine, please (RFC 3834 5).
                    .raw_header(HeaderValue::new(
                        HeaderName::new_from_ascii_str("Auto-Submitted"),
                        "auto-generated".to_owned(),
                    ))
                    .multipart(MultiPart::alternative_plain_html(
                        letter.text.clone(),
                        letter.html.clone(),
                    ))
                    .map_err(|error| NotSent::Yet(error.to_string()))?;
                smtp.transport
                    .send(&message)
                    .map(drop)
                    .map_err(|error| refusal(&error, &smtp.secrets))
            }
            Self::Terminal => {
                let Letter { subject, text, .. } = letter;
                let mut out = std::io::stdout().lock();
                writeln!(out, "\n  To       {to}\n  Subject  {subject}\n")
                    .and_then(|()| text.lines().try_for_each(|line| writeln!(out, "    {line}")))
                    .and_then(|()| out.flush())
                    .map_err(|error| NotSent::Yet(error.to_string()))
            }
        }
    }
}

/// User and password, each as it is and as SMTP sends it (RFC 4616, and the older LOGIN).
fn secrets_of(url: &Url) -> Vec<String> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = decoded(url.username());
    let Some(password) = url.password().map(decoded) else {
        return Vec::new();
    };
    let plain = format!("\0{user}\0{password}");
    let encoded = [&plain, &user, &password].map(|text| BASE64.encode(text));
    // The longest first: one may be a part of another.
    let mut secrets: Vec<String> = encoded.into_iter().chain([user, password]).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

/// Whether it is any use to try again.
fn refusal(error: &smtp::Error, secrets: &[String]) -> NotSent {
    let words = in_full(error);
    let says_nobody = words.split_whitespace().any(|word| NOBODY.contains(&word));
    let words = cleaned(&words, secrets);
    if error.is_permanent() && says_nobody {
        NotSent::Ever(words)
    } else {
        NotSent::Yet(words)
    }
}

/// The error and what caused it.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        cause = error.source();
    }
    words
}
