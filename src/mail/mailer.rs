//! Sends messages: to an SMTP server, or to the terminal of a server that has none.

use std::io::Write;
use std::thread;
use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp;
use lettre::{Address, SmtpTransport, Transport};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::last_taken::LastTaken;
use super::{Message, names};
use crate::domain_name;
use crate::redaction::Secrets;

/// The timeout of one read or write of the SMTP dialogue.
const SMTP_TIMEOUT: Duration = Duration::from_secs(20);
/// The time for the whole dialogue: a server may always say a little, and the lease of the mail ends.
const WHOLE: Duration = Duration::from_secs(4 * 60);

/// The transport of messages.
#[derive(Clone, Debug)]
pub enum Mailer {
    /// To an SMTP server.
    Smtp(Box<Smtp>),
    /// To standard output, for trying oneseat out.
    Terminal,
}

/// An SMTP server, the sender, the secrets that must not be logged, and which mail the server took last.
#[derive(Clone, Debug)]
pub struct Smtp {
    transport: SmtpTransport,
    from: Mailbox,
    credentials: Secrets,
    last_taken: LastTaken,
}

/// The message was not sent. The error contains no text of the message, no recipient and no credentials.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// Another try may succeed.
    #[error("{0}")]
    Yet(String),
    /// The reply is one that refuses a recipient. It does not say whether that is for good, and a server may also
    /// answer so to the sender or the text.
    #[error("{words}")]
    Refused {
        /// The words of the server.
        words: String,
        /// How long ago the server took its last mail, if that was to another address.
        took_another: Option<Duration>,
    },
    /// Nobody has this address.
    #[error("{0}")]
    Ever(String),
}

/// Status codes of SMTP servers for an address that nobody has, or nobody any more (RFC 3463 3.2, 3.3). Other
/// refusals may be about the sender, the password or the relaying, which an operator can mend.
const NOBODY: [&str; 6] = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"];

/// Replies that refuse a recipient (RFC 5321 4.2.3).
const RECIPIENT_REFUSED: [u16; 3] = [550, 551, 553];

impl Mailer {
    /// `url` is like `smtps://user:password@host:465` or `smtp://host:587?tls=required`, `from`
    /// like `oneseat <seat@example.org>`. The public URL names this server. Does not connect yet.
    ///
    /// # Errors
    /// Which of the two cannot be used, without repeating the URL.
    pub fn smtp(url: &str, from: &str, public_url: Option<&str>) -> Result<Self, String> {
        let transport = SmtpTransport::from_url(url).map_err(|_| "the SMTP server's URL cannot be used")?;
        let sender: Mailbox = from.parse().map_err(|_| format!("no sender of mail: {from}"))?;
        let address = in_ascii(sender.email.as_ref()).ok_or_else(|| format!("no sender of mail: {from}"))?;
        let from = Mailbox::new(sender.name, address);
        let mut transport = transport.timeout(Some(SMTP_TIMEOUT));
        if let Some(name) = names::hello(public_url, &from) {
            transport = transport.hello_name(name);
        }
        Ok(Self::Smtp(Box::new(Smtp {
            transport: transport.build(),
            from,
            credentials: Secrets::of_url(url),
            last_taken: LastTaken::default(),
        })))
    }

    /// Sends the message on its own thread: a server may be slow, and a stop waits without end for threads of
    /// the runtime. A server that has not taken the message in time may still take it.
    ///
    /// # Errors
    /// The words of the server or the network, as far as the log may contain them ([`crate::redaction`]).
    pub async fn send(&self, to: String, message: Message) -> Result<(), NotSent> {
        let (sender, carried) = oneshot::channel();
        let mailer = self.clone();
        thread::Builder::new()
            .name("mail".to_owned())
            .spawn(move || sender.send(mailer.send_now(&to, &message)))
            .map_err(|error| NotSent::Yet(error.to_string()))?;
        match timeout(WHOLE, carried).await {
            Ok(sent) => sent.map_err(|error| NotSent::Yet(error.to_string()))?,
            Err(_) => Err(NotSent::Yet(format!(
                "the server did not take it within {} minutes",
                WHOLE.as_secs() / 60
            ))),
        }
    }

    fn send_now(&self, to: &str, message: &Message) -> Result<(), NotSent> {
        match self {
            Self::Smtp(server) => server.send_now(to, message),
            Self::Terminal => {
                let Message { subject, text, .. } = message;
                let mut out = std::io::stdout().lock();
                writeln!(out, "\n  To       {to}\n  Subject  {subject}\n")
                    .and_then(|()| text.lines().try_for_each(|line| writeln!(out, "    {line}")))
                    .and_then(|()| out.flush())
                    .map_err(|error| NotSent::Yet(error.to_string()))
            }
        }
    }
}

impl Smtp {
    fn send_now(&self, to: &str, message: &Message) -> Result<(), NotSent> {
        let address = in_ascii(to).ok_or_else(|| NotSent::Ever("no address for SMTP".to_owned()))?;
        let mime = lettre::Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, address))
            .subject(message.subject.as_str())
            .message_id(Some(names::message_id(&self.from)))
            // This asks for no automatic reply (RFC 3834 5).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .multipart(MultiPart::alternative_plain_html(
                message.text.clone(),
                message.html.clone(),
            ))
            // The error depends on the address alone, and would be the same the next time.
            .map_err(|error| NotSent::Ever(self.in_full(&error, to, message)))?;
        match self.transport.send(&mime) {
            Ok(_) => {
                self.last_taken.note(label(to));
                Ok(())
            }
            Err(error) => {
                let words = self.in_full(&error, to, message);
                Err(match enhanced_code(&error) {
                    Some(code) if error.is_permanent() && NOBODY.contains(&code.as_str()) => {
                        NotSent::Ever(words)
                    }
                    None if refuses_a_recipient(&error) => NotSent::Refused {
                        words,
                        took_another: self.last_taken.by_another(&label(to)),
                    },
                    _ => NotSent::Yet(words),
                })
            }
        }
    }

    /// The error and its causes, without what only the message's reader may know.
    fn in_full(&self, error: &dyn std::error::Error, to: &str, message: &Message) -> String {
        let secrets = self.credentials.clone().and_recipient(to, &label(to));
        let secrets = message.tokens().fold(secrets, Secrets::and);
        let mut words = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let more = error.to_string();
            if !words.contains(&more) {
                words = format!("{words}: {more}");
            }
            cause = error.source();
        }
        secrets.cleaned(&words)
    }
}

/// The address with its domain in ASCII. Every server takes that; servers without SMTPUTF8 take nothing else
/// (RFC 6531 3.2).
fn in_ascii(address: &str) -> Option<Address> {
    let address: Address = address.parse().ok()?;
    match domain_name::to_ascii(address.domain()) {
        Some(domain) => Address::new(address.user(), domain).ok(),
        // The domain is an IP address in brackets.
        None => Some(address),
    }
}

/// What the log says in place of an address: the beginning of its digest, as in every other line.
fn label(address: &str) -> String {
    let digest = hex::encode(Sha256::digest(address));
    format!("[address {}]", &digest[..12])
}

/// The enhanced status code. It begins the reply (RFC 2034 4); later text may be quoted.
fn enhanced_code(error: &smtp::Error) -> Option<String> {
    let reply = std::error::Error::source(error)?.to_string();
    let code = reply.split_whitespace().next()?;
    let is_code =
        code.split('.').count() == 3 && code.chars().all(|sign| sign == '.' || sign.is_ascii_digit());
    is_code.then(|| code.to_owned())
}

fn refuses_a_recipient(error: &smtp::Error) -> bool {
    error
        .status()
        .is_some_and(|code| RECIPIENT_REFUSED.contains(&u16::from(code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_domain_in_ascii() {
        for (address, sent) in [
            ("max@münchen.de", "max@xn--mnchen-3ya.de"),
            ("max@xn--mnchen-3ya.de", "max@xn--mnchen-3ya.de"),
            ("max@[192.0.2.1]", "max@[192.0.2.1]"),
            ("王@例え.jp", "王@xn--r8jz45g.jp"),
        ] {
            assert_eq!(in_ascii(address).unwrap().to_string(), sent);
        }
        let Ok(Mailer::Smtp(smtp)) = Mailer::smtp("smtp://mail.example.org", "Seat <seat@münchen.de>", None)
        else {
            panic!("no SMTP server");
        };
        assert_eq!(smtp.from.to_string(), "Seat <seat@xn--mnchen-3ya.de>");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_comes_to_an_end_is_left_before_the_mail_is_anybodys_again() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("smtp://{}", silent.local_addr().unwrap());
        let mailer = Mailer::smtp(&url, "seat@example.org", None).unwrap();
        let message = Message {
            subject: String::new(),
            text: String::new(),
            html: String::new(),
        };
        let began = tokio::time::Instant::now();
        let sent = mailer.send("ada@example.org".to_owned(), message).await;
        assert_eq!(began.elapsed(), WHOLE);
        let Err(NotSent::Yet(words)) = sent else {
            panic!("{sent:?}");
        };
        assert_eq!(words, "the server did not take it within 4 minutes");
    }

    #[test]
    fn the_words_of_a_mail_server_are_logged_without_the_recipient() {
        let Ok(Mailer::Smtp(smtp)) = Mailer::smtp("smtp://mail.example.org", "seat@example.org", None) else {
            panic!("no SMTP server");
        };
        let message = Message {
            subject: String::new(),
            text: String::new(),
            html: String::new(),
        };
        let said = std::io::Error::other("550 5.7.1 user victim11 unknown: victim11 at example dot org");
        assert_eq!(
            smtp.in_full(&said, "victim11@example.org", &message),
            "550 5.7.1 user [...] unknown: [address 4be1074c076d]"
        );
    }
}
