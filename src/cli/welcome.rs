//! What the first start of a server shows.

use super::{Failure, output};
use crate::app::App;
use crate::auth::accounts::NewAccount;
use crate::auth::{Auth, Authority, Error, LastAdmin};
use crate::users::{Email, Password, Role};

/// The first administrator of a private database.
const FIRST_ADMIN: &str = "admin@localhost";

/// The account that was made at the first start, and where to use it. `None` at later starts.
pub(super) struct Welcome(Option<FirstAdmin>);

struct FirstAdmin {
    auth: Auth,
    url: String,
    email: Email,
    password: Password,
}

impl Welcome {
    /// Makes the first admin of an empty private database, because otherwise nobody could sign in. For a database of
    /// the operator's own there is only a hint (OWASP ASVS 6.3.2: no default account).
    ///
    /// # Errors
    /// When the database cannot be read, or the account cannot be made.
    pub(super) async fn of(app: &App) -> Result<Self, Failure> {
        let auth = app.auth();
        if !auth.has_no_users().await.map_err(Failure::failed)? {
            return Ok(Self(None));
        }
        if !app.has_private_database() {
            log::warn!("there are no users yet; add one with: oneseat user add EMAIL --name NAME --verified");
            return Ok(Self(None));
        }
        let password = Password::generate().map_err(Failure::failed)?;
        let email: Email = FIRST_ADMIN.parse().map_err(Failure::failed)?;
        let admin = NewAccount {
            name: "Administrator".parse().map_err(Failure::failed)?,
            email: email.clone(),
            role: Role::Admin,
            email_verified: true,
            password: password.clone(),
        };
        match auth.add_user(admin).await {
            Ok(_) => Ok(Self(Some(FirstAdmin {
                auth: auth.clone(),
                url: to_open(&app.url()),
                email,
                password,
            }))),
            // Another `serve` on the same data was first, and shows its password.
            Err(Error::EmailTaken(_)) => Ok(Self(None)),
            Err(error) => Err(Failure::failed(error)),
        }
    }

    /// Shows the account once, on standard output and in no log, after everything else.
    ///
    /// # Errors
    /// When it cannot be written. The account is removed then: a password that nobody has seen is of no use, and
    /// the next start makes another.
    pub(super) async fn show(self) -> Result<(), Failure> {
        let Some(admin) = self.0 else {
            return Ok(());
        };
        let shown = output::text(admin.framed().as_bytes());
        if shown.is_err() {
            let removed = admin
                .auth
                .remove_user(admin.email, Authority::Operator, LastAdmin::MayGo)
                .await;
            removed.map_err(Failure::failed)?;
        }
        shown
    }
}

impl FirstAdmin {
    fn framed(&self) -> String {
        framed(&[
            "oneseat is ready. This is shown once:".to_owned(),
            String::new(),
            format!("open      {}", self.url),
            format!("sign in   {}", self.email),
            format!("password  {}", self.password.reveal()),
            String::new(),
            "Ctrl-C stops it; `oneseat serve` starts it again.".to_owned(),
        ])
    }
}

/// The lines in a frame, with a blank line above and below.
fn framed(lines: &[String]) -> String {
    let width = lines
        .iter()
        .map(|line| console::measure_text_width(line))
        .max()
        .unwrap_or_default();
    let edge = "─".repeat(width + 4);
    let inside: String = lines
        .iter()
        .map(|line| {
            let line = console::pad_str(line, width, console::Alignment::Left, None);
            format!("  │  {line}  │\n")
        })
        .collect();
    format!("\n  ┌{edge}┐\n{inside}  └{edge}┘\n\n")
}

/// The address for a browser on this machine. It cannot open one that stands for all addresses.
fn to_open(url: &str) -> String {
    url.replace("://0.0.0.0:", "://localhost:")
        .replace("://[::]:", "://localhost:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_as_wide_as_its_longest_line() {
        let framed = framed(&["a".to_owned(), "long".to_owned()]);
        assert_eq!(
            framed,
            "\n  ┌────────┐\n  │  a     │\n  │  long  │\n  └────────┘\n\n"
        );
    }

    #[test]
    fn the_address_can_be_opened() {
        assert_eq!(to_open("http://0.0.0.0:8080"), "http://localhost:8080");
        assert_eq!(to_open("https://[::]:8443"), "https://localhost:8443");
        assert_eq!(to_open("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
    }
}
