//! `oneseat session ...`

use std::io::{IsTerminal, stdout};

use clap::{Args, Subcommand};
use serde::Serialize;
use uuid::Uuid;

use super::confirm::Confirmation;
use super::listing::{self, Listing};
use super::table::{Cell, Column};
use super::{Failure, open, output, table};
use crate::auth::lists::Search;
use crate::auth::{Auth, Authority, Error, UserRef};
use crate::config::{self, DatabaseSettings};
use crate::sessions::{Device, EndReason};
use crate::web::api::views::{SessionView, UserView};

/// `oneseat session ...`
#[derive(Subcommand, Debug)]
pub(super) enum Session {
    /// List live sessions, the last to sign in first
    ///
    /// A terminal shows as many columns as fit: IDs only where it is wide. Into a file or another program go all
    /// values in full, a line for each session with tabs between them: name, address, IP address, last activity,
    /// sign-in, device, expiry and id.
    List(List),
    /// End one session, a user's, or all
    End(End),
}

#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  How many are signed in?
    oneseat session list | wc -l
  From one network:
    oneseat session list --search 203.0.113.0/24")]
pub(super) struct List {
    #[command(flatten)]
    listing: Listing,
    #[command(flatten)]
    database: DatabaseSettings,
}

#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  Sign somebody out:
    oneseat session end --user ada@example.org
  Sign everybody out; a terminal is asked first:
    oneseat session end --all
  After the files of PostgreSQL were restored, or a moment of the past (which oneseat cannot notice):
    oneseat session end --all --reason restored --yes")]
pub(super) struct End {
    #[command(flatten)]
    which: Which,
    /// What users are told: revoked or restored
    #[arg(long, value_name = "REASON", default_value_t = EndReason::Revoked, value_parser = reason)]
    #[arg(conflicts_with_all = ["user", "id"])]
    reason: EndReason,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    database: DatabaseSettings,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Which {
    /// The session of this user, who has one at most
    #[arg(long, value_name = "EMAIL")]
    user: Option<UserRef>,
    /// The session with this id, as `oneseat session list --json` shows it
    #[arg(long, value_name = "ID", value_parser = session_id)]
    id: Option<Uuid>,
    /// Every session
    #[arg(long)]
    all: bool,
}

impl Session {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(list) => {
                let (auth, _opened) = open(config::database(&list.database)?).await?;
                list.run(&auth).await
            }
            Self::End(end) => {
                if end.which.all {
                    end.confirmation.is_possible("oneseat session end --all")?;
                }
                let (auth, _opened) = open(config::database(&end.database)?).await?;
                end.run(&auth).await
            }
        }
    }
}

const COLUMNS: [Column; 8] = [
    Column::cut("NAME", 12),
    Column::cut("EMAIL", 16),
    Column::cut("ADDRESS", 15),
    Column::whole("LAST ACTIVE"),
    Column::whole("SIGNED IN"),
    Column::cut("DEVICE", 12),
    Column::whole("EXPIRES"),
    Column::whole("ID"),
];

impl List {
    async fn run(self, auth: &Auth) -> Result<(), Failure> {
        let Listing { json, .. } = self.listing;
        let search = || self.listing.search();
        let page = |after, limit| auth.live_sessions(search(), after, limit);
        let (sessions, are_there_more) = listing::rows(page, self.listing.limit()).await?;
        let shown = sessions.len();
        if json {
            let list = sessions.into_iter().map(|(session, user)| Row {
                session: session.into(),
                user: user.into(),
            });
            table::print_json(&list.collect::<Vec<_>>())?;
        } else {
            let rows = sessions
                .into_iter()
                .map(|(session, user)| {
                    [
                        user.name.into(),
                        Cell::Address(user.email),
                        session.ip_address.ip().to_string().into(),
                        session.last_activity.into(),
                        session.created_at.into(),
                        Device::of(session.user_agent.as_deref()).to_string().into(),
                        session.expires_at.into(),
                        session.id.to_string().into(),
                    ]
                })
                .collect();
            table::print(COLUMNS, rows, self.listing.none("nobody is signed in"))?;
            if shown > 0 && stdout().is_terminal() {
                output::note("to end one of them: oneseat session end --user EMAIL");
            }
        }
        if are_there_more {
            let all = auth
                .count_live_sessions(search())
                .await
                .map_err(Failure::failed)?;
            let all = usize::try_from(all).unwrap_or_default();
            self.listing.tell_rest(all.saturating_sub(shown));
        }
        Ok(())
    }
}

impl End {
    async fn run(self, auth: &Auth) -> Result<(), Failure> {
        let Which { user, id, all } = self.which;
        let ended = match (user, id, all) {
            (Some(email), None, false) => match auth.revoke_of(email.clone(), Authority::Operator).await {
                Err(Error::NoSuchSession) => {
                    return Err(Failure::failed(format!("{email} is not signed in")));
                }
                ended => ended.map(|()| 1),
            },
            (None, Some(id), false) => auth.revoke(id, Authority::Operator).await.map(|()| 1),
            (None, None, true) => {
                ask_to_end_all(auth, &self.confirmation).await?;
                auth.end_all(self.reason).await
            }
            other => unreachable!("clap lets no other combination through: {other:?}"),
        };
        match ended.map_err(Failure::failed)? {
            1 => output::line("ended 1 session"),
            n => output::line(format_args!("ended {n} sessions")),
        }
    }
}

async fn ask_to_end_all(auth: &Auth, confirmation: &Confirmation) -> Result<(), Failure> {
    match auth
        .count_live_sessions(Search::All)
        .await
        .map_err(Failure::failed)?
    {
        0 => Ok(()),
        1 => {
            confirmation
                .ask("End 1 session? Its user has to sign in again.")
                .await
        }
        n => {
            let question = format!("End all {n} sessions? Everybody has to sign in again.");
            confirmation.ask(&question).await
        }
    }
}

/// A session in JSON.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    session: SessionView<'static>,
    user: UserView<'static>,
}

/// The reasons that an operator may give.
fn reason(word: &str) -> Result<EndReason, String> {
    match word.parse() {
        Ok(reason @ (EndReason::Revoked | EndReason::Restored)) => Ok(reason),
        _ => Err("write revoked or restored".to_owned()),
    }
}

fn session_id(text: &str) -> Result<Uuid, String> {
    text.parse()
        .map_err(|_| "write an id as `oneseat session list --json` shows it".to_owned())
}
