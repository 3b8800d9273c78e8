//! What each command about users takes.

use clap::Args;

use crate::auth::UserRef;
use crate::cli::confirm::Confirmation;
use crate::cli::listing::Listing;
use crate::config::{DatabaseSettings, ReachSettings};
use crate::users::{Email, Name, Role};

/// The account to make.
#[derive(Args, Debug)]
pub(in crate::cli) struct NewUser {
    /// Address the user signs in with
    #[arg(value_parser = Email::of_new_account)]
    pub(super) email: Email,
    /// What people call the user
    #[arg(long)]
    pub(super) name: Name,
    /// What the user may do: user or admin
    #[arg(long, default_value = "user")]
    pub(super) role: Role,
    #[command(flatten)]
    pub(super) reach: ReachSettings,
}

#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  An admin, whose generated password is printed once:
    oneseat user add ada@example.org --name Ada --role admin --verified
  With a password from elsewhere:
    pass show ada | oneseat user add ada@example.org --name Ada --verified --password-stdin")]
pub(in crate::cli) struct Add {
    #[command(flatten)]
    pub(super) user: NewUser,
    /// The address is known to be theirs; without it they cannot sign in yet
    #[arg(long)]
    pub(super) verified: bool,
    /// Read the password from standard input (one line)
    #[arg(long)]
    pub(super) password_stdin: bool,
    #[command(flatten)]
    pub(super) database: DatabaseSettings,
}

#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  Let the user choose a password by a link in a mail:
    oneseat user invite ada@example.org --name Ada")]
pub(in crate::cli) struct Invite {
    #[command(flatten)]
    pub(super) user: NewUser,
    #[command(flatten)]
    pub(super) database: DatabaseSettings,
}

#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  Everybody whose name or address has this in it:
    oneseat user list --search lovelace
  All addresses:
    oneseat user list | cut -f 2
  The addresses of all admins:
    oneseat user list --json | jq -r '.[] | select(.role == \"admin\").email'")]
pub(in crate::cli) struct List {
    #[command(flatten)]
    pub(super) listing: Listing,
    #[command(flatten)]
    pub(super) database: DatabaseSettings,
}

#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  Is the address locked, and who has the seat?
    oneseat user show ada@example.org")]
pub(in crate::cli) struct Show {
    /// Address or id of the account
    #[arg(value_name = "EMAIL")]
    pub(super) whom: UserRef,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) database: DatabaseSettings,
}

#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  Make one, and print it once:
    oneseat user password ada@example.org")]
pub(in crate::cli) struct SetPassword {
    /// Address or id of the account
    #[arg(value_name = "EMAIL")]
    pub(super) whom: UserRef,
    /// Read the password from standard input (one line); otherwise one is generated and printed once
    #[arg(long)]
    pub(super) password_stdin: bool,
    #[command(flatten)]
    pub(super) database: DatabaseSettings,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Target {
    /// Address or id of the account
    #[arg(value_name = "EMAIL")]
    pub(super) whom: UserRef,
    #[command(flatten)]
    pub(super) database: DatabaseSettings,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Leaving {
    /// Address or id of the account
    #[arg(value_name = "EMAIL")]
    pub(super) whom: UserRef,
    /// Do it even if no admin who can sign in would be left
    #[arg(long)]
    pub(super) last_admin: bool,
    #[command(flatten)]
    pub(super) database: DatabaseSettings,
}

#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  The user verifies the new address by a link that is mailed to it:
    oneseat user address ada@example.org countess@example.org
  On a server that sends no mail:
    oneseat user address ada@example.org countess@example.org --verified --no-mail")]
pub(in crate::cli) struct SetAddress {
    /// Address or id of the account
    #[arg(value_name = "EMAIL")]
    pub(super) whom: UserRef,
    /// Address the user signs in with from now on
    #[arg(value_name = "NEW", value_parser = Email::of_new_account)]
    pub(super) email: Email,
    /// The new address is known to be theirs; without it they have to verify it before they sign in again
    #[arg(long)]
    pub(super) verified: bool,
    /// Tell nobody by mail: neither the old address, nor the new one with a link
    #[arg(long)]
    pub(super) no_mail: bool,
    /// Do it even if no admin who can sign in would be left
    #[arg(long)]
    pub(super) last_admin: bool,
    #[command(flatten)]
    pub(super) reach: ReachSettings,
    #[command(flatten)]
    pub(super) database: DatabaseSettings,
}

#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  After a wedding:
    oneseat user rename ada@example.org --name 'Ada King'")]
pub(in crate::cli) struct Rename {
    /// Address or id of the account
    #[arg(value_name = "EMAIL")]
    pub(super) whom: UserRef,
    /// What people call the user from now on
    #[arg(long)]
    pub(super) name: Name,
    #[command(flatten)]
    pub(super) database: DatabaseSettings,
}

#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  Let somebody administer, at once, also where they are signed in:
    oneseat user role ada@example.org admin")]
pub(in crate::cli) struct SetRole {
    /// Address or id of the account
    #[arg(value_name = "EMAIL")]
    pub(super) whom: UserRef,
    /// What the user may do from now on: user or admin
    pub(super) role: Role,
    /// Do it even if no admin who can sign in would be left
    #[arg(long)]
    pub(super) last_admin: bool,
    #[command(flatten)]
    pub(super) database: DatabaseSettings,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Remove {
    // This comes before the other part, which ends with the database settings: their heading would cover it, too.
    #[command(flatten)]
    pub(super) confirmation: Confirmation,
    #[command(flatten)]
    pub(super) leaving: Leaving,
}
