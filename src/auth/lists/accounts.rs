//! The list of accounts and their states, for admins.

use chrono::{DateTime, Utc};
use diesel::dsl::{exists, not, sql};
use diesel::expression::SqlLiteral;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use uuid::Uuid;

use super::keys::{Counting, Keys};
use super::pagination::{Counted, Cursor, List, Page, Position};
use super::search::{Search, Word};
use super::undelivered::{Undelivered, add_undelivered};
use crate::auth::{Auth, Error, UserRef};
use crate::config::SessionPolicy;
use crate::db::PgConnection;
use crate::db::clock::now;
use crate::db::schema::{login_failures, sessions, users};
use crate::mail::Kind;
use crate::sessions::{Session, store};
use crate::users::email_digest;
use crate::users::plain::is_called;
use crate::users::{AccountState, PasswordState, Role, User};

/// An account as admins see it: on a page, in the API and at the command line.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user.
    pub user: User,
    /// Whether the user has a password, or may choose one.
    pub password: PasswordState,
    /// When the lock of the address ends, if wrong passwords have locked it.
    pub locked_until: Option<DateTime<Utc>>,
    /// The user's live session.
    pub session: Option<Session>,
    /// The last mail to the user, if it was given up.
    pub undelivered: Option<Undelivered>,
}

/// A row of the query.
type Row = (
    User,
    bool,
    bool,
    Option<DateTime<Utc>>,
    Option<Session>,
    Option<DateTime<Utc>>,
);

impl From<Row> for Account {
    fn from((user, has_password, is_invited, locked_until, session, ends_at): Row) -> Self {
        let judged = |(session, ends_at): (Session, _)| session.judged(ends_at);
        Self {
            user,
            password: match (has_password, is_invited) {
                (true, _) => PasswordState::Chosen,
                (false, true) => PasswordState::Invited,
                (false, false) => PasswordState::Missing,
            },
            locked_until,
            session: session.zip(ends_at).map(judged),
            undelivered: None,
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
            is_invited(),
            login_failures::locked_until.nullable(),
            Option::<Session>::as_select(),
            ends_at.nullable(),
        ))
    }};
}

impl Account {
    /// Whether the user can sign in, or why not.
    pub fn state(&self) -> AccountState {
        self.user.state(self.password)
    }
}

impl Auth {
    /// Accounts, the newest first. Counts nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn accounts(
        &self,
        search: Search,
        after: Option<Cursor>,
        limit: i64,
    ) -> Result<Page<Account>, Error> {
        let found = self.page_of_accounts(search, Counting::Nothing, after.into(), limit);
        Ok(found.await?.page)
    }

    /// Accounts, the newest first, with counts of all that match.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn find_accounts(
        &self,
        search: Search,
        position: Position,
        limit: i64,
    ) -> Result<Counted<Account>, Error> {
        self.page_of_accounts(search, Counting::All, position, limit)
            .await
    }

    /// How many accounts match.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn count_accounts(&self, search: Search) -> Result<i64, Error> {
        let policy = self.policy.sessions;
        self.query(move |conn| {
            let mut matching = users::table.count().into_boxed();
            if let Some(shows) = shows(&search, &policy) {
                matching = matching.filter(shows);
            }
            matching.get_result(conn)
        })
        .await
    }

    async fn page_of_accounts(
        &self,
        search: Search,
        counting: Counting,
        position: Position,
        limit: i64,
    ) -> Result<Counted<Account>, Error> {
        let policy = self.policy.sessions;
        self.run(move |conn| {
            let mut found = users::table.select((users::id, users::created_at)).into_boxed();
            if let Some(shows) = shows(&search, &policy) {
                found = found.filter(shows);
            }
            let keys = Keys {
                found,
                list: List::Users,
                is_search: search != Search::All,
                counting,
                position,
                limit,
                own: None,
            }
            .load(conn)?;
            let rows: Vec<Row> = accounts!(policy)
                .filter(users::id.eq_any(keys.ids()))
                .order((users::created_at.desc(), users::id.desc()))
                .load(conn)?;
            let mut accounts: Vec<Account> = rows.into_iter().map(Account::from).collect();
            add_undelivered(conn, &mut accounts)?;
            Ok(keys.counted(keys.page(accounts)))
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
            find_account(conn, id, &policy)?.ok_or_else(|| whom.unknown())
        })
        .await
    }
}

/// Finds one account.
pub(in crate::auth) fn find_account(
    conn: &mut PgConnection,
    id: Uuid,
    policy: &SessionPolicy,
) -> QueryResult<Option<Account>> {
    let row: Option<Row> = accounts!(*policy)
        .filter(users::id.eq(id))
        .first(conn)
        .optional()?;
    let mut account = row.map(Account::from);
    add_undelivered(conn, account.as_mut_slice())?;
    Ok(account)
}

/// The user's link of an invitation still works.
const HAS_INVITATION: &str =
    "exists (select from one_time_links as link where link.user_id = users.id and link.purpose = 'invitation'
    and link.email = users.email and link.expires_at > now())";

/// The addresses whose invitation waits, or was given up lately.
const INVITED: &str = "select email_digest from mails where kind = 'invitation'
    union all select email_digest from undelivered_mails
        where kind = 'invitation' and given_up_at > now() - interval '7 days'";

/// Is an invitation under way? For a few rows.
fn is_invited() -> SqlLiteral<Bool> {
    sql(&format!(
        "({HAS_INVITATION} or exists (select from ({INVITED}) as mail where mail.email_digest = email_digest(users.email)))"
    ))
}

type Condition = Box<dyn BoxableExpression<users::table, Pg, SqlType = Bool>>;

fn is_named(word: &Word) -> Condition {
    Box::new(is_called(word.pattern()))
}

/// The condition for the rows that a search finds. `None` for all rows.
fn shows(search: &Search, policy: &SessionPolicy) -> Option<Condition> {
    let Search::For(words) = search else {
        return None;
    };
    let shown = |word: &Word| match labelled(word, policy) {
        Some(label) => Box::new(label.or(is_named(word))),
        None => is_named(word),
    };
    let both = |one: Condition, other: Condition| Box::new(one.and(other)) as Condition;
    let parts = words.parts(|words| labelled(words, policy));
    let each = parts.into_iter().filter_map(|part| match part.label {
        None => part.words.iter().map(shown).reduce(both),
        // Its words have no other meaning, unless they are all in a name.
        Some(label) => {
            let names = part.words.iter().map(is_named).reduce(both)?;
            Some(Box::new(label.or(names)))
        }
    });
    each.reduce(both)
}

/// Accounts with a label that the word stands for.
fn labelled(word: &Word, policy: &SessionPolicy) -> Option<Condition> {
    let mut conditions: Vec<Condition> = Vec::new();
    for role in [Role::Admin, Role::User] {
        if word.means(role.as_str()) {
            conditions.push(Box::new(users::role.eq(role)));
        }
    }
    if word.means("Signed in") {
        let seat = sessions::table.filter(sessions::user_id.eq(users::id));
        conditions.push(Box::new(exists(seat.filter(store::ends_at(policy).gt(now())))));
    }
    if word.means("Locked") {
        let locked = "select email_digest from login_failures where locked_until > now()";
        conditions.push(Box::new(sql::<Bool>(&is_among(locked))));
    }
    conditions.extend(not_delivered(word));
    let states = AccountState::ALL
        .into_iter()
        .filter(|state| word.means(state.in_words()) || word.means(state.as_str()));
    conditions.extend(states.map(is_in));
    conditions
        .into_iter()
        .reduce(|one, other| Box::new(one.or(other)))
}

/// Accounts to whose addresses a mail could not be delivered, of a kind that the word stands for.
fn not_delivered(word: &Word) -> Option<Condition> {
    let is_meant = |kind: &Kind| {
        *kind != Kind::EmailChange
            && (word.means("Not delivered") || word.means(&format!("{} not delivered", kind.in_words())))
    };
    let kinds: Vec<&str> = Kind::ALL.into_iter().filter(is_meant).map(Kind::as_str).collect();
    let mails = format!(
        "select email_digest from undelivered_mails where kind in ('{}')",
        kinds.join("', '")
    );
    (!kinds.is_empty()).then(|| Box::new(sql::<Bool>(&is_among(&mails))) as Condition)
}

/// Accounts whose addresses are among those with these digests. They are looked up by the index: to make the digests of all users
/// anew takes ten times as long as all the rest. As an array, because PostgreSQL takes a digest for cheap.
fn is_among(digests: &str) -> String {
    format!(
        "users.id in (select addressed.id from users as addressed where email_digest(addressed.email) = any(array({digests})))"
    )
}

/// The condition for accounts in this state, in agreement with [`User::state`].
fn is_in(state: AccountState) -> Condition {
    let may = users::disabled_at.is_null();
    let has_password = users::password_hash.is_not_null();
    let is_invited = || sql::<Bool>(&format!("({HAS_INVITATION} or {})", is_among(INVITED)));
    match state {
        AccountState::Disabled => Box::new(users::disabled_at.is_not_null()),
        AccountState::Invited => Box::new(may.and(users::password_hash.is_null()).and(is_invited())),
        AccountState::NoPassword => Box::new(may.and(users::password_hash.is_null()).and(not(is_invited()))),
        AccountState::Unverified => Box::new(may.and(has_password).and(users::email_verified.eq(false))),
        AccountState::Active => Box::new(may.and(has_password).and(users::email_verified.eq(true))),
    }
}
