//! `oneseat user rename` and `oneseat user role`.

use super::arguments::{Rename, SetRole};
use super::of_flag;
use crate::auth::changes::Changes;
use crate::auth::{Authority, LastAdmin, UserRef};
use crate::cli::{Failure, open, output};
use crate::config::{self, DatabaseSettings};
use crate::users::Role;

impl Rename {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let done = format!("{} is now called {}", self.whom, self.name);
        let changes = Changes {
            name: Some(self.name),
            role: None,
        };
        change(&self.database, self.whom, changes, LastAdmin::Stays).await?;
        output::line(format_args!("{done}"))
    }
}

impl SetRole {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let done = match self.role {
            Role::Admin => format!("{} is an admin", self.whom),
            Role::User => format!("{} is a user", self.whom),
        };
        let changes = Changes {
            name: None,
            role: Some(self.role),
        };
        change(&self.database, self.whom, changes, of_flag(self.last_admin)).await?;
        output::line(format_args!("{done}"))
    }
}

async fn change(
    database: &DatabaseSettings,
    whom: UserRef,
    changes: Changes,
    last_admin: LastAdmin,
) -> Result<(), Failure> {
    let (auth, _opened) = open(config::database(database)?).await?;
    auth.change_user(whom, changes, Authority::Operator, last_admin)
        .await
        .map_err(Failure::failed)?;
    Ok(())
}
