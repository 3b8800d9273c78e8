//! The list of accounts and their states, for admins.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::pagination::{Cursor, Page, Search, page};
use crate::auth::{Auth, Error, UserRef};
use crate::db::clock::now;
use crate::db::schema::{login_failures, sessions, users};
use crate::sessions::{Session, store};
use crate::users::email_digest;
use crate::users::spelling::is_read_as;
use crate::users::{AccountState, User};

/// An account as admins see it: on a page, in the API and at the command line.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user.
    pub user: User,
    /// Whether the user has a password.
    pub has_password: bool,
    /// The address is locked until then, because of wrong passwords.
    pub locked_until: Option<DateTime<Utc>>,
    /// The user's live session.
    pub session: Option<Session>,
}

/// A row of the query.
type Row = (
    User,
    bool,
    Option<DateTime<Utc>>,
    Option<Session>,
    Option<DateTime<Utc>>,
);

impl From<Row> for Account {
    fn from((user, has_password, locked_until, session, ends_at): Row) -> Self {
        let judged = |(session, ends_at): (Session, _)| session.judged(ends_at);
        Self {
            user,
            has_password,
            locked_until,
            session: session.zip(ends_at).map(judged),
        }
    }
}

/// The query for [`Row`]s. It is a macro because its type cannot be named readably.
macro_rules! accounts {
    ($policy:expr) => {{
        let ends_at = store::ends_at(&$policy);
        let seat = sessions::table.on(sessions::user_id.eq(users::id).and(ends_at.clone().gt(now())));
        let lock = login_failures::table.on(login_failures::email_digest
            .eq(email_digest(users::email))
            .and(login_failures::locked_until.gt(now().nullable())));
        users::table.left_join(seat).left_join(lock).select((
            User::as_select(),
            users::password_hash.is_not_null(),
            login_failures::locked_until.nullable(),
            Option::<Session>::as_select(),
            ends_at.nullable(),
        ))
    }};
}

impl Account {
    /// Whether the user can sign in, or why not.
    pub fn state(&self) -> AccountState {
        self.user.state(self.has_password)
    }
}

impl Auth {
    /// Accounts, the newest first. A search matches names and email addresses.
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
        self.run(move |conn| {
            let mut query = accounts!(policy).into_boxed();
            if let Some(pattern) = pattern(&search) {
                query = query.filter(
                    users::folded_name
                        .like(pattern.clone())
                        .or(users::folded_email.like(pattern.clone()))
                        .or(is_read_as(pattern)),
                );
            }
            if let Some(Cursor { at, id }) = after {
                query = query.filter(users::created_at.le(at)).filter(
                    users::created_at
                        .lt(at)
                        .or(users::created_at.eq(at).and(users::id.lt(id))),
                );
            }
            let rows: Vec<Row> = query
                .order((users::created_at.desc(), users::id.desc()))
                .limit(limit + 1)
                .load(conn)?;
            let accounts = rows.into_iter().map(Account::from).collect();
            Ok(page(accounts, limit, |account: &Account| Cursor {
                at: account.user.created_at,
                id: account.user.id,
            }))
        })
        .await
    }

    /// One account.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn account(&self, whom: impl Into<UserRef>) -> Result<Account, Error> {
        let (policy, whom) = (self.policy.sessions, whom.into());
        self.run(move |conn| {
            let id = whom.id(conn)?.ok_or_else(|| whom.unknown())?;
            let row: Option<Row> = accounts!(policy)
                .filter(users::id.eq(id))
                .first(conn)
                .optional()?;
            row.map(Account::from).ok_or_else(|| whom.unknown())
        })
        .await
    }

    /// How many accounts match.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn count_accounts(&self, search: Search) -> Result<i64, Error> {
        self.query(move |conn| match pattern(&search) {
            None => users::table.count().get_result(conn),
            Some(pattern) => users::table
                .filter(
                    users::folded_name
                        .like(pattern.clone())
                        .or(users::folded_email.like(pattern.clone()))
                        .or(is_read_as(pattern)),
                )
                .count()
                .get_result(conn),
        })
        .await
    }
}

/// Accounts have no network: a search that looks like one is treated as text.
fn pattern(search: &Search) -> Option<String> {
    match search {
        Search::All => None,
        Search::Network(network) => Some(Search::pattern(&network.to_string())),
        Search::Text(text) => Some(Search::pattern(text)),
    }
}
