//! Who has an account, and in which state: the list for admins.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::pagination::{Cursor, Page, Search, page};
use crate::auth::{Auth, Error};
use crate::db::clock::now;
use crate::db::schema::{login_failures, sessions, users};
use crate::sessions::store;
use crate::users::User;
use crate::users::store::email_digest;

/// An account as an admin sees it.
#[derive(Queryable, Clone, Debug)]
pub struct Account {
    /// Whose.
    pub user: User,
    /// Whether they ever chose a password.
    pub has_password: bool,
    /// Too many wrong passwords have locked the address until then.
    pub locked_until: Option<DateTime<Utc>>,
    /// The seat that they hold now.
    pub session: Option<Uuid>,
}

/// The one word for what an admin has to know first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// May not sign in.
    Disabled,
    /// Has not chosen a password yet.
    Invited,
    /// Has not shown that the address is theirs.
    Unverified,
    /// May sign in.
    Active,
}

impl Account {
    /// Whether the user may sign in, or why not.
    pub fn state(&self) -> State {
        if self.user.disabled_at.is_some() {
            State::Disabled
        } else if !self.has_password {
            State::Invited
        } else if !self.user.email_verified {
            State::Unverified
        } else {
            State::Active
        }
    }
}

impl State {
    /// The state's name in bodies and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Invited => "invited",
            Self::Unverified => "unverified",
            Self::Active => "active",
        }
    }
}

impl Auth {
    /// Accounts, the newest first. A search is for a name or an address of mail.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn accounts(
        &self,
        search: Search,
        after: Option<Cursor>,
        limit: i64,
    ) -> Result<Page<Account>, Error> {
        let policy = self.policy.sessions;
        self.db
            .run(move |conn| {
                let seat = sessions::table.on(sessions::user_id
                    .eq(users::id)
                    .and(store::ends_at(&policy).gt(now())));
                let lock = login_failures::table.on(login_failures::email_digest
                    .eq(email_digest(users::email))
                    .and(login_failures::locked_until.gt(now().nullable())));
                let mut query = users::table.left_join(seat).left_join(lock).into_boxed();
                if let Some(pattern) = pattern(&search) {
                    query = query.filter(users::name.ilike(pattern.clone()).or(users::email.ilike(pattern)));
                }
                if let Some(Cursor { at, id }) = after {
                    query = query.filter(users::created_at.le(at)).filter(
                        users::created_at
                            .lt(at)
                            .or(users::created_at.eq(at).and(users::id.lt(id))),
                    );
                }
                let accounts: Vec<Account> = query
                    .order((users::created_at.desc(), users::id.desc()))
                    .limit(limit + 1)
                    .select((
                        User::as_select(),
                        users::password_hash.is_not_null(),
                        login_failures::locked_until.nullable(),
                        sessions::id.nullable(),
                    ))
                    .load(conn)?;
                Ok(page(accounts, limit, |account: &Account| Cursor {
                    at: account.user.created_at,
                    id: account.user.id,
                }))
            })
            .await
    }

    /// How many accounts match.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn count_accounts(&self, search: Search) -> Result<i64, Error> {
        self.db
            .run(move |conn| {
                let counted = match pattern(&search) {
                    None => users::table.count().get_result(conn),
                    Some(pattern) => users::table
                        .filter(users::name.ilike(pattern.clone()).or(users::email.ilike(pattern)))
                        .count()
                        .get_result(conn),
                };
                counted.map_err(Error::from)
            })
            .await
    }
}

/// Accounts have no network: what looks like one is a text like any other.
fn pattern(search: &Search) -> Option<String> {
    match search {
        Search::All => None,
        Search::Network(network) => Some(Search::pattern(&network.to_string())),
        Search::Text(text) => Some(Search::pattern(text)),
    }
}
