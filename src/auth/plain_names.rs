//! Lets searches by plain letters find the users of an older version, and their sessions. The program does it when it
//! opens the database: only for rows that need it, a few at a time, under the lock of the migrations.

use uuid::Uuid;

use crate::db::migrations::{self, Step};
use crate::sessions::{history, store};
use crate::users::plain;

/// The users of one transaction. None of them can sign in while it runs.
const BATCH: i64 = 100;

/// Fills in all users that need it, and returns their number.
///
/// # Errors
/// Those of [`migrations::take_turns`]. What was done before stays done.
pub fn fill_in_plain_names(url: &str) -> Result<usize, migrations::Error> {
    let (mut filled, mut after) = (0, Uuid::nil());
    migrations::take_turns(url, plain::any_is_without, |conn| {
        history::wait_for_the_end_of_all(conn)?;
        let users = plain::fill_in(conn, after, BATCH)?;
        store::copy_searched_text(conn, &users)?;
        filled += users.len();
        let Some(last) = users.last() else {
            return Ok(Step::Done);
        };
        after = *last;
        Ok(Step::More)
    })?;
    if filled > 0 {
        log::info!("searches find {filled} users by plain letters, too");
    }
    Ok(filled)
}
