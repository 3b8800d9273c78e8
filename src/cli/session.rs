//! `oneseat session ...`

use clap::{Args, Subcommand};
use serde::Serialize;
use uuid::Uuid;

use super::{Failure, every_page, open, output, table};
use crate::auth::lists::{LARGEST_PAGE, Search};
use crate::auth::{Auth, Authority};
use crate::config::{self, DatabaseSettings};
use crate::sessions::EndReason;
use crate::users::Email;
use crate::web::api::views::{SessionView, UserView};

/// `oneseat session ...`
#[derive(Subcommand, Debug)]
pub(super) enum Session {
    /// List live sessions, newest activity first
    List(List),
    /// End one session, a user's, or all
    End(End),
}

#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  How many are signed in?
    oneseat session list --json | jq length")]
pub(super) struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseSettings,
}

#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  Sign somebody out:
    oneseat session end --user ada@example.org
  Sign everybody out:
    oneseat session end --all
  After the files of PostgreSQL were restored, or a moment of the past (which oneseat cannot notice):
    oneseat session end --all --reason restored")]
pub(super) struct End {
    #[command(flatten)]
    which: Which,
    /// What users are told: revoked or restored
    #[arg(long, value_name = "REASON", default_value_t = EndReason::Revoked, value_parser = reason)]
    #[arg(conflicts_with_all = ["user", "id"])]
    reason: EndReason,
    #[command(flatten)]
    database: DatabaseSettings,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Which {
    /// The session of this user
    #[arg(long, value_name = "EMAIL")]
    user: Option<Email>,
    /// The session with this id
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
                let (auth, _opened) = open(&config::database(&list.database)?)?;
                list.run(&auth).await
            }
            Self::End(end) => {
                let (auth, _opened) = open(&config::database(&end.database)?)?;
                end.run(&auth).await
            }
        }
    }
}

impl List {
    async fn run(self, auth: &Auth) -> Result<(), Failure> {
        let all = |after| auth.live_sessions(Search::All, after, LARGEST_PAGE);
        let sessions = every_page(all).await?;
        if self.json {
            let list = sessions.into_iter().map(|(session, user)| Row {
                session: session.into(),
                user: user.into(),
            });
            return table::print_json(&list.collect::<Vec<_>>());
        }
        let rows = sessions
            .into_iter()
            .map(|(session, user)| {
                [
                    session.id.to_string(),
                    table::address(&user.email),
                    session.ip_address.ip().to_string(),
                    table::time(session.created_at),
                    table::time(session.last_activity),
                    table::time(session.expires_at),
                ]
            })
            .collect();
        let headings = ["ID", "USER", "ADDRESS", "SIGNED IN", "LAST ACTIVITY", "EXPIRES"];
        table::print(headings, rows, "nobody is signed in")
    }
}

impl End {
    async fn run(self, auth: &Auth) -> Result<(), Failure> {
        let Which { user, id, all } = self.which;
        let ended = match (user, id, all) {
            (Some(email), None, false) => auth.revoke_of(email, Authority::Operator).await.map(|()| 1),
            (None, Some(id), false) => auth.revoke(id, Authority::Operator).await.map(|()| 1),
            (None, None, true) => auth.end_all(self.reason).await,
            other => unreachable!("clap lets no other combination through: {other:?}"),
        };
        match ended.map_err(Failure::failed)? {
            1 => output::line("ended 1 session"),
            n => output::line(format_args!("ended {n} sessions")),
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
        _ => Err("must be revoked or restored".to_owned()),
    }
}

fn session_id(text: &str) -> Result<Uuid, String> {
    text.parse()
        .map_err(|_| "must be an id as `oneseat session list` shows it".to_owned())
}
