//! Imports users from another system.
//!
//! Rows are written in batches, each in a transaction of its own. A row is written whole or not at all, and a
//! bad one does not stop the others. Accounts that exist already stay as they are, so a file may be imported
//! again.

mod rows;

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::pin::pin;

use futures_util::{Stream, StreamExt};

use self::rows::{Outcome, written};
use super::accounts::invitation_by;
use super::audit::{self, Actor};
use super::authority::{Authority, Subject};
use super::{Auth, Error};
use crate::db::PgConnection;
use crate::users::import::{Imported, ImportedUser, NewRow, Row};
use crate::users::{PasswordHash, store};

/// The most rows of one transaction.
const BATCH: usize = 1_000;

/// The options of an import.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImportOptions {
    /// Report the outcome of each row, and write nothing.
    pub is_rehearsal: bool,
    /// Mail a link to choose a password to each user who is added without one and may sign in.
    pub invites: bool,
}

/// Why an account is not in the table as its row in the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotImported {
    /// The account exists with other values in these columns, and stays as it is.
    Different {
        /// The columns.
        columns: Vec<&'static str>,
        /// The line of the first row with the same address, if that is not this row.
        first: Option<u64>,
    },
    /// The row was refused, for this reason.
    Refused(String),
}

/// The number of rows for each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// Accounts that were added.
    pub added: u64,
    /// Accounts that existed already, with the values of the rows.
    pub unchanged: u64,
    /// Accounts that existed already, with other values.
    pub different: u64,
    /// Rows that were refused.
    pub refused: u64,
}

/// Why an import ended before its last row. What was imported before stays.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A row could not be read. Those before it are done.
    #[error("{error}")]
    Read {
        /// The line, and what is wrong there.
        error: io::Error,
        /// The outcomes of the rows before it.
        so_far: ImportCounts,
    },
    /// A batch could not be written: one of the errors of [`Authority`], or [`Error::Unavailable`].
    #[error(transparent)]
    Failed(#[from] Error),
}

/// One import under way.
struct Import<'a, Tell> {
    auth: &'a Auth,
    options: ImportOptions,
    by: Authority,
    /// Called for each row that is not in the table as the file says, with its line.
    tell: Tell,
    /// The next rows. Their outcomes are reported in the order of their lines.
    batch: Vec<(Place, Next)>,
    /// The addresses of the batch.
    addresses: HashSet<String>,
    /// The first row of each address that was not refused, by the digest of the address.
    first: HashMap<[u8; 32], FirstRow>,
    counts: ImportCounts,
}

/// The first row of an address, without its values: a file may have a million rows.
#[derive(Clone, Copy)]
struct FirstRow {
    line: u64,
    /// A digest of the row, if a rehearsal would have added it. No table has the row then, so later ones are
    /// compared with this.
    rehearsed: Option<u64>,
}

/// The place of a row in the file.
#[derive(Clone, Copy)]
struct Place {
    line: u64,
    /// The line of an earlier row with its address that was not refused.
    first: Option<u64>,
}

/// The next step for a row of the batch.
enum Next {
    /// Write it.
    Written(ImportedUser),
    /// Only report this outcome: the row was refused, or a rehearsal knows its outcome without writing it.
    Told(Outcome),
}

impl Auth {
    /// Logs an error if users have password hashes that need a pepper, and none is configured: nobody can
    /// check those users' passwords.
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

    /// Imports rows. Calls `tell` for each row that is not in the table as the file says, with its line.
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
            first: HashMap::new(),
            counts: ImportCounts::default(),
        };
        let mut needs_pepper = false;
        let mut rows = pin!(rows);
        let end = loop {
            let Row { line, user } = match rows.next().await {
                Some(Ok(row)) => row,
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            };
            let reachable = user.and_then(|user| {
                let can_be_told = self.needs_reachable(&user.email);
                can_be_told.map(|()| user).map_err(|error| error.to_string())
            });
            if let Ok(user) = &reachable {
                let hash = user.password_hash.as_ref();
                needs_pepper |= hash.is_some_and(PasswordHash::is_peppered);
            }
            import.take(line, reachable).await?;
        };
        // Also with no row left: the permission of the importer is confirmed at the end.
        import.write().await?;
        if needs_pepper && !self.hasher.has_pepper() {
            log::warn!(
                "some hashes need a pepper: without --password-pepper-file, serve refuses their passwords"
            );
        }
        let so_far = import.counts;
        end.map(|()| so_far)
            .map_err(|error| ImportError::Read { error, so_far })
    }
}

impl<Tell: FnMut(u64, NotImported)> Import<'_, Tell> {
    /// Puts a row into the batch. If the batch has a row with this address already, writes that first.
    async fn take(&mut self, line: u64, row: Result<ImportedUser, String>) -> Result<(), Error> {
        let (first, next) = match row {
            Err(reason) => (None, Next::Told(Err(reason))),
            Ok(user) => {
                // The outcome of the second row depends on that of the first.
                if self.addresses.contains(user.email.as_str()) {
                    self.write().await?;
                }
                let first = self.first.get(&user.email.digest());
                let next = match first.and_then(|first| first.rehearsed) {
                    None => Next::Written(user),
                    Some(row) if row == digest(&user) => Next::Told(Ok(Imported::Unchanged)),
                    Some(_) => Next::Told(Ok(Imported::Different(Vec::new()))),
                };
                (first.map(|first| first.line), next)
            }
        };
        if self.batch.len() == BATCH {
            self.write().await?;
        }
        if let Next::Written(user) = &next {
            self.addresses.insert(user.email.to_string());
        }
        self.batch.push((Place { line, first }, next));
        Ok(())
    }

    /// Writes the batch, and reports the outcomes of its rows.
    async fn write(&mut self) -> Result<(), Error> {
        self.addresses.clear();
        let (mut rows, mut outcomes) = (Vec::new(), Vec::new());
        for (place, next) in self.batch.drain(..) {
            match next {
                Next::Written(user) => rows.push((place, user)),
                Next::Told(outcome) => outcomes.push((place, outcome)),
            }
        }
        let mut rows: Vec<(Place, NewRow)> = (0..)
            .zip(rows.into_iter().rev())
            .map(|(after, (place, user))| (place, NewRow { user, after }))
            .collect();
        // In this order, two imports of the same addresses wait for each other and do not deadlock.
        rows.sort_by(|(_, one), (_, other)| one.user.email.as_str().cmp(other.user.email.as_str()));
        let digests = rows
            .iter()
            .map(|(_, row)| (row.user.email.digest(), digest(&row.user)));
        let digests: Vec<([u8; 32], u64)> = digests.collect();
        let (places, rows): (Vec<Place>, Vec<NewRow>) = rows.into_iter().unzip();
        let written = self.write_rows(rows).await?;
        for ((place, (address, row)), outcome) in places.iter().zip(digests).zip(&written) {
            if let Ok(done) = outcome {
                let is_rehearsed = self.options.is_rehearsal && matches!(done, Imported::Added(..));
                let rehearsed = is_rehearsed.then_some(row);
                let line = place.line;
                self.first.entry(address).or_insert(FirstRow { line, rehearsed });
            }
        }
        outcomes.extend(places.into_iter().zip(written));
        outcomes.sort_by_key(|(place, _)| place.line);
        for (place, outcome) in outcomes {
            self.count(place, outcome);
        }
        Ok(())
    }

    async fn write_rows(&self, rows: Vec<NewRow>) -> Result<Vec<Outcome>, Error> {
        let options = self.options;
        let invitation = options.invites.then(|| invitation_by(&self.by));
        let write = move |conn: &mut PgConnection, _| written(conn, &rows, &invitation, options.is_rehearsal);
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
        match done {
            // There is no need to wait: an import ends no right that an instance may still have in memory.
            Ok(outcomes) => Ok(outcomes),
            Err(error) => self.auth.answer_after_wait(Err(error)).await,
        }
    }

    /// Counts a row, and reports it unless it is in the table as the file says.
    fn count(&mut self, Place { line, first }: Place, outcome: Outcome) {
        let counts = &mut self.counts;
        match outcome {
            Ok(Imported::Added(..)) => counts.added += 1,
            Ok(Imported::Unchanged) => counts.unchanged += 1,
            Ok(Imported::Different(columns)) => {
                counts.different += 1;
                (self.tell)(line, NotImported::Different { columns, first });
            }
            Err(reason) => {
                counts.refused += 1;
                (self.tell)(line, NotImported::Refused(reason));
            }
        }
    }
}

/// A digest of the values of a row: equal for equal rows.
fn digest(user: &ImportedUser) -> u64 {
    let mut hasher = DefaultHasher::new();
    let hash = user.password_hash.as_ref().map(PasswordHash::as_str);
    (user.name.as_str(), user.role.as_str(), user.email_verified).hash(&mut hasher);
    (user.is_disabled, user.created_at, hash).hash(&mut hasher);
    hasher.finish()
}
