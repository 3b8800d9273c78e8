//! Writes the rows of one batch in one transaction.

use diesel::Connection;
use diesel::result::Error as DatabaseError;

use crate::auth::Error;
use crate::db::PgConnection;
use crate::mail::Kind;
use crate::mail::outbox::{self, Happening};
use crate::mail::undelivered;
use crate::sessions::feed;
use crate::users::import::{self, Imported, NewRow};

/// The outcome of a row, or why it was refused.
pub(super) type Outcome = Result<Imported, String>;

/// Writes the rows. No two have the same address. A rehearsal is rolled back.
pub(super) fn written(
    conn: &mut PgConnection,
    rows: &[NewRow],
    invitation: &Option<Happening>,
    is_rehearsal: bool,
) -> Result<Vec<Outcome>, Error> {
    if !is_rehearsal {
        return insert(conn, rows, invitation);
    }
    let mut rehearsed = None;
    let rolled_back = conn.transaction::<(), Error, _>(|conn| {
        rehearsed = Some(insert(conn, rows, invitation)?);
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
    rows: &[NewRow],
    invitation: &Option<Happening>,
) -> Result<Vec<Outcome>, Error> {
    let outcomes = insert_by_halves(conn, rows)?;
    if outcomes
        .iter()
        .any(|outcome| matches!(outcome, Ok(Imported::Added(..))))
    {
        feed::tell_lists(conn)?;
    }
    let mut added = Vec::new();
    let all = rows.iter().zip(&outcomes);
    for (NewRow { user, .. }, _) in all.filter(|(_, outcome)| matches!(outcome, Ok(Imported::Added(..)))) {
        let email_digest = user.email.digest();
        if let Some(happening) = invitation
            && user.password_hash.is_none()
            && !user.is_disabled
        {
            outbox::post(conn, &email_digest, Kind::Invitation, happening)?;
        }
        added.push(email_digest.to_vec());
    }
    // Earlier accounts with these addresses may have left notes of mails that were given up.
    undelivered::forget_all(conn, &added)?;
    Ok(outcomes)
}

/// Inserts the rows in one statement. If the database refuses it, tries each half, until the refused row is
/// found.
fn insert_by_halves(conn: &mut PgConnection, rows: &[NewRow]) -> Result<Vec<Outcome>, Error> {
    let refused = match conn.transaction(|conn| import::insert(conn, rows)) {
        Ok(done) => return Ok(done.into_iter().map(Ok).collect()),
        Err(DatabaseError::DatabaseError(kind, words)) => match words.constraint_name() {
            Some(constraint) => format!("the database refuses it: {constraint}"),
            None => return Err(DatabaseError::DatabaseError(kind, words).into()),
        },
        Err(error) => return Err(error.into()),
    };
    if let [_] = rows {
        return Ok(vec![Err(refused)]);
    }
    let (first, second) = rows.split_at(rows.len() / 2);
    let mut outcomes = insert_by_halves(conn, first)?;
    outcomes.extend(insert_by_halves(conn, second)?);
    Ok(outcomes)
}
