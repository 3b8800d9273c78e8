//! The rows of one batch, in one transaction.

use diesel::Connection;
use diesel::result::Error as DatabaseError;

use crate::auth::Error;
use crate::db::PgConnection;
use crate::mail::Kind;
use crate::mail::outbox::{self, Happening};
use crate::sessions::feed;
use crate::users::import::{self, Imported, ImportedUser};

/// What became of a row, or why it was refused.
pub(super) type Outcome = Result<Imported, String>;

/// Writes the users. No two have the same address. A rehearsal is rolled back.
pub(super) fn written(
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
    if outcomes
        .iter()
        .any(|outcome| matches!(outcome, Ok(Imported::Added(..))))
    {
        feed::tell_lists(conn)?;
    }
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
