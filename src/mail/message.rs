//! What a mail says, as text and as HTML of the same words. Whatever people call themselves is escaped in the HTML, and has no
//! control characters in either.

use askama::Template;
use chrono::{DateTime, Utc};

use crate::token::Token;
use crate::unseen;

/// A mail without its address.
#[derive(Clone, Debug)]
pub struct Message {
    /// One line.
    pub subject: &'static str,
    /// For readers of plain text.
    pub text: String,
    /// The same for everybody else.
    pub html: String,
}

/// The facts that go into a message. A variant for each [`super::Kind`].
#[derive(Debug)]
pub enum Content<'a> {
    /// With the link that sets the first password.
    Invitation {
        /// Works for seven days.
        link: &'a str,
    },
    /// With the link that verifies the address.
    Verification {
        /// Works for a day.
        link: &'a str,
    },
    /// With the link that sets a new password.
    PasswordReset {
        /// Works for half an hour.
        link: &'a str,
    },
    /// The password is another one.
    PasswordChanged {
        /// When that was.
        at: DateTime<Utc>,
        /// From which address.
        from: &'a str,
        /// With what.
        with: &'a str,
        /// Where a new password can be asked for.
        forgot: &'a str,
    },
    /// The seat was taken from somewhere new.
    NewSignIn {
        /// When that was.
        at: DateTime<Utc>,
        /// From which address.
        from: &'a str,
        /// With what.
        with: &'a str,
        /// Where a new password can be asked for.
        forgot: &'a str,
    },
}

/// One way to show a message: the template chooses its words by the content.
#[derive(Template)]
#[template(path = "mail/message.txt")]
struct Text<'a> {
    name: &'a str,
    content: &'a Content<'a>,
}

#[derive(Template)]
#[template(path = "mail/message.html")]
struct Html<'a> {
    subject: &'a str,
    name: &'a str,
    content: &'a Content<'a>,
}

impl Message {
    /// Writes it.
    ///
    /// # Errors
    /// Only if a template is at fault.
    pub fn new(name: &str, content: &Content<'_>) -> askama::Result<Self> {
        let name = unseen::replaced(name, ' ');
        let subject = match content {
            Content::Invitation { .. } => "You are invited to oneseat",
            Content::Verification { .. } => "Verify your address for oneseat",
            Content::PasswordReset { .. } => "Choose a new password for oneseat",
            Content::PasswordChanged { .. } => "Your password for oneseat was changed",
            Content::NewSignIn { .. } => "Your seat was taken from somewhere new",
        };
        let name = name.as_str();
        Ok(Self {
            subject,
            text: Text { name, content }.render()?,
            html: Html {
                subject,
                name,
                content,
            }
            .render()?,
        })
    }

    /// The tokens of its links.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &str> {
        let fragments = self.text.split('#').skip(1);
        fragments
            .filter_map(|fragment| fragment.split(|c: char| !c.is_alphanumeric()).next())
            // People's names may hold the sign, too.
            .filter(|token| Token::parse(token.as_bytes()).is_some())
    }
}

/// In words, as on the pages.
fn moment(at: &DateTime<Utc>) -> String {
    at.format("%-d %B %Y, %H:%M UTC").to_string()
}
