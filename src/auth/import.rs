//! Bringing users along from another system.
//!
//! Rows are written in batches, each in a transaction of its own. A row is there whole or not at all, and a bad
//! one holds up no other. What is in the table already stays as it is, so a file may be imported again.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::pin::pin;

use diesel::Connection;
use diesel::result::Error as DatabaseError;
use futures_util::{Stream, StreamExt};

use super::accounts::invitation_by;
use super::audit::{self, Actor};
use super::authority::{Authority, Subject};
use super::{Auth, Error};
use crate::db::PgConnection;
use crate::mail::Kind;
use crate::mail::outbox::{self, Happening};
use crate::users::import::{self, Imported, ImportedUser, Row};
use crate::users::{PasswordHash, store};

/// Rows of one transaction.
const BATCH: usize = 1_000;

/// How to import.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImportOptions {
    /// Say what would become of each row, and write nothing.
    pub is_rehearsal: bool,
    /// Mail a link to choose a password to each user who is added without one and may sign in.
    pub invites: bool,
}

/// What became of a row that is not in the table as the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotImported {
    /// There is an account with other values in these columns, and it stays as it is.
    Different(Vec<&'static str>),
    /// The row was refused, for this reason.
    Refused(String),
}

/// How many rows came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// Accounts that were added.
    pub added: u64,
    /// Accounts that there were already, as the rows say.
    pub unchanged: u64,
    /// Accounts that there were already, with other values.
    pub different: u64,
    /// Rows that were refused.
    pub refused: u64,
}

/// Why an import ended before its last row. What was imported before stays.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The rows could not be read on.
    #[error("the rows cannot be read: {0}")]
    Read(#[from] io::Error),
    /// Those of [`Authority`]; [`Error::Unavailable`].
    #[error(transparent)]
    Failed(#[from] Error),
}

/// One import under way.
struct Import<'a, Tell> {
    auth: &'a Auth,
    options: ImportOptions,
    by: Authority,
    /// Hears of each row that is not in the table as the file says, with its line.
    tell: Tell,
    batch: Vec<(u64, ImportedUser)>,
    /// The addresses of the batch.
    addresses: HashSet<String>,
    /// The rows of a rehearsal, which are in no table: a digest of the address, and one of the row.
    rehearsed: HashMap<[u8; 32], u64>,
    counts: ImportCounts,
}

impl Auth {
    /// Tells the operator if nobody can say whether some users' passwords are right.
    pub async fn tell_missing_pepper(&self) {
        if self.hasher.has_pepper() {
            return;
        }
        match self.query(store::any_peppered).await {
            Ok(false) => {}
            Ok(true) => log::error!(
                "imported users with a hash that begins with {{devise}} cannot sign in: there is no --password-pepper-file"
            ),
            Err(error) => log::warn!("nobody knows whether a --password-pepper-file is needed: {error}"),
        }
    }

    /// Imports rows. `tell` hears of each that is not in the table as it says, with its line.
    ///
    /// # Errors
    /// [`ImportError`].
    pub async fn import<Tell: FnMut(u64, NotImported)>(
        &self,
        rows: impl Stream<Item = io::Result<Row>>,
        options: ImportOptions,
        by: Authority,
        tell: Tell,
    ) -> Result<ImportCounts, ImportError> {
        let mut import = Import {
            auth: self,
            options,
            by,
            tell,
            batch: Vec::new(),
            addresses: HashSet::new(),
            rehearsed: HashMap::new(),
            counts: ImportCounts::default(),
        };
        let mut needs_pepper = false;
        let mut rows = pin!(rows);
        while let Some(row) = rows.next().await {
            let Row { line, user } = row?;
            let reachable = user.and_then(|user| {
                let can_be_told = self.needs_reachable(&user.email);
                can_be_told.map(|()| user).map_err(|error| error.to_string())
            });
            match reachable {
                Ok(user) => {
                    let hash = user.password_hash.as_ref();
                    needs_pepper |= hash.is_some_and(PasswordHash::is_peppered);
                    import.take(line, user).await?;
                }
                Err(reason) => import.count(line, Err(reason)),
            }
        }
        // With no row left, too: who imports is confirmed at the end.
        import.write().await?;
        if needs_pepper && !self.hasher.has_pepper() {
            log::warn!(
                "some hashes need a pepper: without --password-pepper-file, serve refuses their passwords"
            );
        }
        Ok(import.counts)
    }
}

impl<Tell: FnMut(u64, NotImported)> Import<'_, Tell> {
    /// Puts a row into the batch. A second one for an address waits until the first is written.
    async fn take(&mut self, line: u64, user: ImportedUser) -> Result<(), Error> {
        if self.batch.len() == BATCH || self.addresses.contains(user.email.as_str()) {
            self.write().await?;
        }
        if self.options.is_rehearsal
            && let Some(earlier) = self.rehearsed.insert(user.email.digest(), digest(&user))
        {
            let outcome = match earlier == digest(&user) {
                true => Imported::Unchanged,
                false => Imported::Different(vec!["the values of an earlier row"]),
            };
            self.count(line, Ok(outcome));
            return Ok(());
        }
        self.addresses.insert(user.email.to_string());
        self.batch.push((line, user));
        Ok(())
    }

    /// Writes the batch.
    async fn write(&mut self) -> Result<(), Error> {
        self.addresses.clear();
        // Two imports of the same addresses wait for each other in one order.
        self.batch
            .sort_by(|(_, one), (_, other)| one.email.as_str().cmp(other.email.as_str()));
        let (lines, users): (Vec<u64>, Vec<ImportedUser>) = self.batch.drain(..).unzip();
        let options = self.options;
        let invitation = options.invites.then(|| invitation_by(&self.by));
        let write =
            move |conn: &mut PgConnection, _| written(conn, &users, &invitation, options.is_rehearsal);
        let tell = move |outcomes: &Vec<Outcome>, by: Actor| {
            let added = outcomes.iter().filter_map(|outcome| match outcome {
                Ok(Imported::Added(id, role)) => Some((*id, *role)),
                _ => None,
            });
            if !options.is_rehearsal {
                audit::users_imported(added, by);
            }
        };
        let done = self
            .auth
            .act_without_wait(self.by.clone(), Subject::Nobody, write, tell)
            .await;
        let outcomes = match done {
            // Nothing was taken away that an instance could remember.
            Ok(outcomes) => outcomes,
            Err(error) => self.auth.answer_after_wait(Err(error)).await?,
        };
        let mut outcomes: Vec<(u64, Outcome)> = lines.into_iter().zip(outcomes).collect();
        outcomes.sort_by_key(|(line, _)| *line);
        for (line, outcome) in outcomes {
            self.count(line, outcome);
        }
        Ok(())
    }

    fn count(&mut self, line: u64, outcome: Outcome) {
        let counts = &mut self.counts;
        match outcome {
            Ok(Imported::Added(..)) => counts.added += 1,
            Ok(Imported::Unchanged) => counts.unchanged += 1,
            Ok(Imported::Different(columns)) => {
                counts.different += 1;
                (self.tell)(line, NotImported::Different(columns));
            }
            Err(reason) => {
                counts.refused += 1;
                (self.tell)(line, NotImported::Refused(reason));
            }
        }
    }
}

/// What became of a row, or why it was refused.
type Outcome = Result<Imported, String>;

/// Equal for equal rows.
fn digest(user: &ImportedUser) -> u64 {
    let mut hasher = DefaultHasher::new();
    let hash = user.password_hash.as_ref().map(PasswordHash::as_str);
    (user.name.as_str(), user.role.as_str(), user.email_verified).hash(&mut hasher);
    (user.is_disabled, user.created_at, hash).hash(&mut hasher);
    hasher.finish()
}

fn written(
    conn: &mut PgConnection,
    users: &[ImportedUser],
    invitation: &Option<Happening>,
    is_rehearsal: bool,
) -> Result<Vec<Outcome>, Error> {
    let users: Vec<&ImportedUser> = users.iter().collect();
    if !is_rehearsal {
        return insert(conn, &users, invitation);
    }
    let mut rehearsed = None;
    let rolled_back = conn.transaction::<(), Error, _>(|conn| {
        rehearsed = Some(insert(conn, &users, invitation)?);
        Err(DatabaseError::RollbackTransaction.into())
    });
    match (rehearsed, rolled_back) {
        (Some(outcomes), _) => Ok(outcomes),
        (None, rolled_back) => rolled_back.map(|()| Vec::new()),
    }
}

/// Inserts the rows, and invites their users.
fn insert(
    conn: &mut PgConnection,
    users: &[&ImportedUser],
    invitation: &Option<Happening>,
) -> Result<Vec<Outcome>, Error> {
    let outcomes = insert_by_halves(conn, users)?;
    let added = users.iter().zip(&outcomes);
    for (user, _) in added.filter(|(_, outcome)| matches!(outcome, Ok(Imported::Added(..)))) {
        if let Some(happening) = invitation
            && user.password_hash.is_none()
            && !user.is_disabled
        {
            outbox::post(conn, &user.email.digest(), Kind::Invitation, happening)?;
        }
    }
    Ok(outcomes)
}

/// Inserts the rows in one statement. Where the database refuses one, the halves are tried, until it is found.
fn insert_by_halves(conn: &mut PgConnection, users: &[&ImportedUser]) -> Result<Vec<Outcome>, Error> {
    let refused = match conn.transaction(|conn| import::insert(conn, users)) {
        Ok(done) => return Ok(done.into_iter().map(Ok).collect()),
        Err(DatabaseError::DatabaseError(kind, words)) => match words.constraint_name() {
            Some(constraint) => format!("the database refuses it: {constraint}"),
            None => return Err(DatabaseError::DatabaseError(kind, words).into()),
        },
        Err(error) => return Err(error.into()),
    };
    if let [_] = users {
        return Ok(vec![Err(refused)]);
    }
    let (first, second) = users.split_at(users.len() / 2);
    let mut outcomes = insert_by_halves(conn, first)?;
    outcomes.extend(insert_by_halves(conn, second)?);
    Ok(outcomes)
}
