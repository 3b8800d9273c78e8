//! The content of a mail, as text and as HTML with the same words. Users' names are escaped in the HTML. In both
//! forms the direction of their writing is isolated, and invisible characters are written out.

use askama::Template;
use chrono::{DateTime, Utc};

use super::Site;
use crate::shown as filters;
use crate::token::Token;
use crate::unseen;

/// A message without its recipient.
#[derive(Clone, Debug)]
pub struct Message {
    /// The subject, on one line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The HTML, with the same words.
    pub html: String,
}

/// The facts of a message: one variant for each [`super::Kind`], and one more for a new address that has an account.
#[derive(Debug)]
pub enum Content<'a> {
    /// An invitation, with the link that sets the first password.
    Invitation {
        /// The name of the admin who invites. `None` if the command line does.
        by: Option<&'a str>,
        /// The link, which works for seven days.
        link: &'a str,
    },
    /// A verification, with the link that confirms the address.
    Verification {
        /// The link, which works for a day.
        link: &'a str,
    },
    /// A password reset, with the link that sets a new password.
    PasswordReset {
        /// The link, which works for half an hour.
        link: &'a str,
    },
    /// The password was changed.
    PasswordChanged {
        /// When it happened.
        at: DateTime<Utc>,
        /// The address that it came from.
        from: &'a str,
        /// The browser and system.
        with: &'a str,
        /// Where to request a new password.
        forgot: &'a str,
    },
    /// A sign-in came from a new place.
    NewSignIn {
        /// When it happened.
        at: DateTime<Utc>,
        /// The address that it came from.
        from: &'a str,
        /// The browser and system.
        with: &'a str,
        /// Where to request a new password.
        forgot: &'a str,
    },
    /// A change of address, with the link that makes it.
    EmailChange {
        /// The link, which works for eight hours.
        link: &'a str,
    },
    /// Somebody wants the address of this user for another account.
    EmailTaken,
    /// Another address was asked for.
    EmailChangeRequested {
        /// When it happened.
        at: DateTime<Utc>,
        /// The address that it came from.
        from: &'a str,
        /// The browser and system.
        with: &'a str,
        /// Where to request a new password.
        forgot: &'a str,
    },
    /// The account has another address.
    EmailChanged {
        /// When it happened.
        at: DateTime<Utc>,
        /// The address and the browser that the link was used from. `None`: an administrator did it.
        place: Option<(&'a str, &'a str)>,
    },
}

/// The plain text: the template chooses its words by the content.
#[derive(Template)]
#[template(path = "mail/message.txt")]
struct Text<'a> {
    site: &'a Site,
    name: &'a str,
    content: &'a Content<'a>,
}

#[derive(Template)]
#[template(path = "mail/message.html")]
struct Html<'a> {
    site: &'a Site,
    subject: &'a str,
    name: &'a str,
    content: &'a Content<'a>,
}

impl Message {
    /// Renders a message to the user with this name.
    ///
    /// # Errors
    /// Only when a template is broken.
    pub fn new(site: &Site, name: &str, content: &Content<'_>) -> askama::Result<Self> {
        let subject = content.subject(&site.name);
        Ok(Self {
            text: Text { site, name, content }.render()?,
            html: Html {
                site,
                subject: &subject,
                name,
                content,
            }
            .render()?,
            subject,
        })
    }

    /// The tokens in its links.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &str> {
        let fragments = self.text.split('#').skip(1);
        fragments
            .filter_map(|fragment| fragment.split(|c: char| !c.is_alphanumeric()).next())
            // Users' names may contain `#`, too.
            .filter(|token| Token::parse(token.as_bytes()).is_some())
    }
}

impl Content<'_> {
    /// Whether the reader is known to be the user. Otherwise the mail leaves out the user's name: a user chooses their
    /// name freely, and could use it to write to strangers.
    fn is_to_its_user(&self) -> bool {
        !matches!(self, Self::EmailChange { .. })
    }

    fn subject(&self, site: &str) -> String {
        match self {
            Self::Invitation { by: Some(by), .. } => format!("{} invites you to {site}", unseen::in_line(by)),
            Self::Invitation { by: None, .. } => format!("Your invitation to {site}"),
            Self::Verification { .. } => format!("Confirm your address for {site}"),
            Self::PasswordReset { .. } => format!("Choose a new password for {site}"),
            Self::PasswordChanged { .. } => format!("Your password for {site} was changed"),
            Self::NewSignIn { .. } => format!("New sign-in to {site}"),
            Self::EmailChange { .. } => format!("Confirm your new address for {site}"),
            Self::EmailTaken => format!("Your address has an account at {site} already"),
            Self::EmailChangeRequested { .. } => format!("Another address was asked for at {site}"),
            Self::EmailChanged { .. } => format!("Your address for {site} was changed"),
        }
    }
}

/// The time in words, as on the pages.
fn moment(at: &DateTime<Utc>) -> String {
    at.format("%-d %B %Y, %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Vec<String> {
        let site = Site {
            name: "Seat".to_owned(),
            url: "https://seat.example.org".to_owned(),
            accent: String::new(),
            links: vec![("Help".to_owned(), "https://example.org/help".to_owned())],
        };
        let (at, link, forgot) = (
            DateTime::UNIX_EPOCH,
            "https://seat.example.org/reset#0",
            "https://seat.example.org/forgot",
        );
        let (from, with) = ("192.0.2.1", "curl 8");
        let contents = [
            Content::Invitation {
                by: Some("Ada"),
                link,
            },
            Content::Invitation { by: None, link },
            Content::Verification { link },
            Content::PasswordReset { link },
            Content::PasswordChanged {
                at,
                from,
                with,
                forgot,
            },
            Content::NewSignIn {
                at,
                from,
                with,
                forgot,
            },
            Content::EmailChange { link },
            Content::EmailTaken,
            Content::EmailChangeRequested {
                at,
                from,
                with,
                forgot,
            },
            Content::EmailChanged {
                at,
                place: Some((from, with)),
            },
            Content::EmailChanged { at, place: None },
        ];
        let text = |content| Message::new(&site, "Grace", content).unwrap().text;
        contents.iter().map(text).collect()
    }

    #[test]
    fn a_paragraph_is_one_line_which_a_screen_of_any_width_breaks_for_itself() {
        for text in texts() {
            let (paragraphs, signature) = text.split_once("\n-- \n").unwrap();
            assert!(
                signature.starts_with("Seat\nhttps://seat.example.org\nHelp: "),
                "{text}"
            );
            for paragraph in paragraphs.trim_end().split("\n\n") {
                let is_list = paragraph.lines().all(|line| line.starts_with("    "));
                assert!(is_list || !paragraph.contains('\n'), "{paragraph:?} in: {text}");
            }
        }
    }
}
