//! Changes of the name or the role of an existing account, and its removal.
//!
//! When a change is acknowledged, every instance knows it: the feed names its user, and the answer waits as
//! for the end of a session. A session outlives a change of its user's role, and may then do what the new
//! role allows (docs/decisions/0021).

use super::accounts::Change;
use super::audit::{self, Event};
use super::authority::{Authority, LastAdmin, Subject};
use super::lists::{Account, find_account};
use super::user_ref::UserRef;
use super::{Auth, Error};
use crate::db::PgConnection;
use crate::sessions::EndReason;
use crate::sessions::history::{self, Which};
use crate::users::store::{self as users, Credentials};
use crate::users::{Name, Role};

/// The changes to make to an account. `None` leaves a field unchanged.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The new name.
    pub name: Option<Name>,
    /// The new role.
    pub role: Option<Role>,
}

/// What was changed, and the account after the change.
struct Changed {
    account: Account,
    has_new_name: bool,
    /// The earlier role, if the role was changed.
    earlier_role: Option<Role>,
}

impl Auth {
    /// Changes the name and the role of a user, both or neither. Returns the account after the change.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`], [`Error::OwnAccount`] for an admin who would take the role from themselves,
    /// [`Error::LastAdmin`]; those of [`Authority`]; [`Error::Unavailable`].
    pub async fn change_user(
        &self,
        whom: impl Into<UserRef>,
        changes: Changes,
        by: Authority,
        last_admin: LastAdmin,
    ) -> Result<Account, Error> {
        let (whom, policy, acting) = (whom.into(), self.policy.sessions, by.clone());
        let subject = Subject::User(whom.clone());
        let change = move |conn: &mut PgConnection, found: Option<Credentials>| {
            let found = found.ok_or_else(|| whom.unknown())?;
            if changes.role == Some(Role::User) {
                acting.allow_for_others_only(found.user.id)?;
            }
            last_admin.allow(conn)?;
            let (has_new_name, earlier_role) = apply(conn, &found, &changes)?;
            let account = find_account(conn, found.user.id, &policy)?;
            Ok(Changed {
                account: account.ok_or_else(|| whom.unknown())?,
                has_new_name,
                earlier_role,
            })
        };
        let tell = |changed: &Changed, by| {
            let user = &changed.account.user;
            if changed.has_new_name {
                audit::user_updated(user.id, "name", by);
            }
            if let Some(earlier) = changed.earlier_role {
                audit::role_changed(user.id, earlier, user.role, by);
            }
        };
        Ok(self.act(by, subject, change, tell).await?.account)
    }

    /// Deletes the account, and ends the session. The records of its past sessions stay, without the user.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`], [`Error::OwnAccount`], [`Error::LastAdmin`]; those of [`Authority`];
    /// [`Error::Unavailable`].
    pub async fn remove_user(
        &self,
        whom: impl Into<UserRef>,
        by: Authority,
        last_admin: LastAdmin,
    ) -> Result<(), Error> {
        let (policy, acting) = (self.policy.sessions, by.clone());
        let remove = move |conn: &mut PgConnection, found: &Credentials| -> Result<Change, Error> {
            let id = found.user.id;
            acting.allow_for_others_only(id)?;
            last_admin.allow(conn)?;
            let ended = history::end(conn, Which::OfUser(id), EndReason::AccountDisabled, &policy)?;
            Ok((users::remove(conn, id)?, ended))
        };
        self.change(Event::UserDeleted, whom.into(), by, remove).await
    }
}

/// Writes the values that differ from the stored ones. Returns whether the name was changed, and the earlier
/// role if the role was.
fn apply(
    conn: &mut PgConnection,
    found: &Credentials,
    changes: &Changes,
) -> Result<(bool, Option<Role>), Error> {
    let id = found.user.id;
    let has_new_name = match &changes.name {
        Some(name) => users::rename(conn, id, name)? > 0,
        None => false,
    };
    let has_new_role = match changes.role {
        Some(role) => users::set_role(conn, id, role)? > 0,
        None => false,
    };
    Ok((has_new_name, has_new_role.then_some(found.user.role)))
}
