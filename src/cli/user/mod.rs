//! `oneseat user ...`

mod address;
mod arguments;
mod changes;
mod import;
mod invitations;

use clap::Subcommand;
use serde::Serialize;

use self::arguments::{
    Add, Invite, Leaving, List, Remove, Rename, SetAddress, SetPassword, SetRole, Show, Target,
};
use self::import::Import;
use super::table::{Cell, Column};
use super::{Failure, listing, open, open_to_add, output, password, table};
use crate::auth::accounts::{Invitation, NewAccount};
use crate::auth::lists::Account;
use crate::auth::{Auth, Authority, Error, LastAdmin, UserRef};
use crate::config;
use crate::users::{Email, User as UserRow};
use crate::web::api::views::{AccountView, SessionView};

/// `oneseat user ...`
#[derive(Subcommand, Debug)]
pub(super) enum User {
    /// Add an account; prints its generated password once, unless you give one
    Add(Add),
    /// Add an account and mail its user a link to choose a password; a running `serve` that has a mail server sends it
    Invite(Invite),
    /// Add the accounts in a file, with the password hashes that another system made
    Import(Import),
    /// List accounts, the newest first
    ///
    /// Into a file or another program go all values in full, a line for each account with tabs between them: name,
    /// address, role and state.
    List(List),
    /// Show one account, its lock and its session
    Show(Show),
    /// Set a password, lift the lock and end the session
    Password(SetPassword),
    /// Mark the address as verified
    Verify(Target),
    /// Give the account another address; the session goes on
    Address(SetAddress),
    /// Forget failed sign-ins, and with them the lock
    Unlock(Target),
    /// Give the user another name
    Rename(Rename),
    /// Make the user an admin, or an admin a user; the session goes on
    Role(SetRole),
    /// Forbid signing in, and end the session
    Disable(Leaving),
    /// Allow signing in again
    Enable(Target),
    /// Delete the account, and end the session
    Remove(Remove),
}

impl User {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run().await,
            Self::Invite(invite) => invite.run().await,
            Self::Import(import) => import.run().await,
            Self::List(list) => list.run().await,
            Self::Show(show) => show.run().await,
            Self::Password(set) => set.run().await,
            Self::Verify(target) => {
                target
                    .run(async |auth, email| auth.verify_email(email).await.map(|()| "is verified"))
                    .await
            }
            Self::Address(set) => set.run().await,
            Self::Unlock(target) => {
                let words = |had_failures| {
                    if had_failures {
                        "is unlocked"
                    } else {
                        "had no failed sign-ins"
                    }
                };
                target
                    .run(async |auth, email| auth.unlock(email).await.map(words))
                    .await
            }
            Self::Rename(rename) => rename.run().await,
            Self::Role(set) => set.run().await,
            Self::Disable(leaving) => {
                let disable = async |auth: Auth, whom, last_admin| {
                    auth.disable(whom, Authority::Operator, last_admin)
                        .await
                        .map(|()| "is disabled")
                };
                leaving.run(disable).await
            }
            Self::Enable(target) => {
                target
                    .run(async |auth, email| {
                        auth.enable(email, Authority::Operator)
                            .await
                            .map(|()| "is enabled")
                    })
                    .await
            }
            Self::Remove(remove) => remove.run().await,
        }
    }
}

fn of_flag(last_admin: bool) -> LastAdmin {
    match last_admin {
        true => LastAdmin::MayGo,
        false => LastAdmin::Stays,
    }
}

impl Target {
    /// Runs an action that needs only the account, and prints the result.
    async fn run(
        self,
        act: impl AsyncFnOnce(Auth, UserRef) -> Result<&'static str, Error>,
    ) -> Result<(), Failure> {
        let (auth, _opened) = open(config::database(&self.database)?).await?;
        let done = act(auth, self.whom.clone()).await.map_err(Failure::failed)?;
        output::line(format_args!("{} {done}", self.whom))
    }
}

impl Leaving {
    /// Like [`Target::run`], for an action that the last admin may not survive.
    async fn run(
        self,
        act: impl AsyncFnOnce(Auth, UserRef, LastAdmin) -> Result<&'static str, Error>,
    ) -> Result<(), Failure> {
        let (auth, _opened) = open(config::database(&self.database)?).await?;
        let done = act(auth, self.whom.clone(), of_flag(self.last_admin))
            .await
            .map_err(Failure::failed)?;
        output::line(format_args!("{} {done}", self.whom))
    }
}

impl Remove {
    async fn run(self) -> Result<(), Failure> {
        self.confirmation.is_possible("oneseat user remove")?;
        let Leaving {
            whom,
            database,
            last_admin,
        } = self.leaving;
        let (auth, _opened) = open(config::database(&database)?).await?;
        let account = auth.account(whom.clone()).await.map_err(Failure::failed)?;
        self.confirmation.ask(&question(&account)).await?;
        auth.remove_user(whom.clone(), Authority::Operator, of_flag(last_admin))
            .await
            .map_err(Failure::failed)?;
        output::line(format_args!("{whom} is removed"))
    }
}

/// The question before an account is removed, which says what is lost with it.
fn question(account: &Account) -> String {
    let name = table::shown(&account.user.name);
    let session = match account.session {
        Some(_) => " and end 1 session",
        None => "",
    };
    format!(
        "Remove the account of {name}, {} ({}){session}? It cannot be brought back.",
        table::address(&account.user.email),
        account.user.role
    )
}

impl Add {
    async fn run(self) -> Result<(), Failure> {
        let config = config::database(&self.database)?;
        let takes_utf8 = config::takes_utf8_addresses(&self.user.reach, false)?;
        // Read before the database is opened: a bad password starts nothing.
        let password = password::read(self.password_stdin)
            .await?
            .password(&[self.user.name.as_str(), self.user.email.as_str()])?;
        let (auth, _opened) = open_to_add(config, takes_utf8).await?;
        let account = NewAccount {
            name: self.user.name,
            email: self.user.email,
            role: self.user.role,
            email_verified: self.verified,
            password: password.value.clone(),
        };
        let user = auth.add_user(account).await.map_err(Failure::failed)?;
        password.print_with(format_args!(
            "added {} ({})",
            Email::stored(&user.email),
            user.role
        ))?;
        if !user.email_verified {
            output::line(format_args!(
                "not verified yet, so not able to sign in: oneseat user verify {}",
                Email::stored(&user.email)
            ))?;
        }
        Ok(())
    }
}

impl Invite {
    async fn run(self) -> Result<(), Failure> {
        let takes_utf8 = config::takes_utf8_addresses(&self.user.reach, true)?;
        let (auth, _opened) = open_to_add(config::database(&self.database)?, takes_utf8).await?;
        let invitation = Invitation {
            name: self.user.name,
            email: self.user.email,
            role: self.user.role,
        };
        let user = auth
            .invite(invitation, Authority::Operator)
            .await
            .map_err(Failure::failed)?;
        let email = Email::stored(&user.email);
        let mail = invitations::of_one(&auth, &email).await;
        output::line(format_args!("invited {email} ({}); {mail}", user.role))
    }
}

impl SetPassword {
    async fn run(self) -> Result<(), Failure> {
        let config = config::database(&self.database)?;
        // Read before the database is opened: a bad password starts nothing.
        let given = password::read(self.password_stdin).await?;
        given.password(&[&self.whom.to_string()])?;
        let (auth, _opened) = open(config).await?;
        let user = auth
            .account(self.whom.clone())
            .await
            .map_err(Failure::failed)?
            .user;
        let password = given.password(&[&user.name, &user.email])?;
        auth.set_password(self.whom, password.value.clone())
            .await
            .map_err(Failure::failed)?;
        password.print_with(format_args!("{} has a new password", user.email))
    }
}

const COLUMNS: [Column; 4] = [
    Column::cut("NAME", 12),
    Column::cut("EMAIL", 16),
    Column::whole("ROLE"),
    Column::whole("STATE"),
];

/// The state in a list, with the lock, which the list does not show otherwise.
fn state(account: &Account) -> String {
    let lock = match account.locked_until {
        Some(_) => ", locked",
        None => "",
    };
    format!("{}{lock}", account.state())
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let (auth, _opened) = open(config::database(&self.database)?).await?;
        let search = || self.listing.search();
        let page = |after, limit| auth.accounts(search(), after, limit);
        let (accounts, are_there_more) = listing::rows(page, self.listing.limit()).await?;
        let shown = accounts.len();
        if self.listing.json {
            let list = accounts.into_iter().map(AccountView::from);
            table::print_json(&list.collect::<Vec<_>>())?;
        } else {
            let rows = accounts
                .into_iter()
                .map(|account| {
                    let state = state(&account);
                    let UserRow {
                        email, name, role, ..
                    } = account.user;
                    [
                        name.into(),
                        Cell::Address(email),
                        role.to_string().into(),
                        state.into(),
                    ]
                })
                .collect();
            let none = "no users yet; add one with: oneseat user add EMAIL --name NAME";
            table::print(COLUMNS, rows, self.listing.none(none))?;
        }
        if are_there_more {
            let all = auth.count_accounts(search()).await.map_err(Failure::failed)?;
            let all = usize::try_from(all).unwrap_or_default();
            self.listing.tell_rest(all.saturating_sub(shown));
        }
        Ok(())
    }
}

/// An account in JSON, with its session.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    account: AccountView,
    session: Option<SessionView<'static>>,
}

impl Show {
    async fn run(self) -> Result<(), Failure> {
        let (auth, _opened) = open(config::database(&self.database)?).await?;
        let account = auth.account(self.whom).await.map_err(Failure::failed)?;
        if self.json {
            return table::print_json(&Shown {
                session: account.session.clone().map(Into::into),
                account: account.into(),
            });
        }
        let user = &account.user;
        let seat = match &account.session {
            Some(session) => format!(
                "since {} from {}, {}",
                table::time(session.created_at),
                session.ip_address.ip(),
                table::until(session.expires_at)
            ),
            None => "not signed in".to_owned(),
        };
        let locked = match account.locked_until {
            Some(until) => table::until(until),
            None => "no".to_owned(),
        };
        let mut facts = vec![
            ("name", user.name.clone()),
            ("email", table::address(&user.email)),
            ("role", user.role.to_string()),
            ("state", account.state().to_string()),
            ("locked", locked),
            ("added", table::time(user.created_at)),
            ("seat", seat),
        ];
        if let Some(mail) = &account.undelivered {
            let (kind, at) = (mail.kind.in_words(), table::time(mail.given_up_at));
            facts.push(("not delivered", format!("{kind}, given up {at}: {}", mail.reason)));
        }
        table::print_facts(facts)
    }
}
