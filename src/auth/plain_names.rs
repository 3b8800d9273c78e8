//! Has searches find, by plain letters, the users whom an older version wrote, and their sessions: when the program opens the database, a
//! few at a time, under the lock of the migrations, and only rows that need it.

use uuid::Uuid;

use crate::db::migrations::{self, Step};
use crate::sessions::store;
use crate::users::plain;

/// Users of one transaction. Nobody of them can sign in meanwhile.
const BATCH: i64 = 100;

/// Writes by what these users are searched, and returns how many there were.
///
/// # Errors
/// Those of [`migrations::take_turns`]. What was done before stays done.
pub fn fill_in_plain_names(url: &str) -> Result<usize, migrations::Error> {
    let (mut filled, mut after) = (0, Uuid::nil());
    migrations::take_turns(url, plain::any_is_without, |conn| {
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
