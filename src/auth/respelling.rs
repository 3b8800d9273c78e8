//! Rewrites the addresses that an older version stored in today's spelling ([`Email`]). PostgreSQL cannot
//! convert a domain to ASCII, so the program does it when it opens the database: a few at a time, under the
//! lock of the migrations, and only rows that need it.
//!
//! If two accounts would get the same address, both stay as they are. Users can sign in only to the one that
//! has today's spelling already.

use std::fmt;

use diesel::QueryResult;
use uuid::Uuid;

use crate::db::PgConnection;
use crate::db::migrations::{self, Step};
use crate::domain_name::readable_address;
use crate::mail::readdressing::readdress;
use crate::sessions::history;
use crate::users::Email;
use crate::users::spelling::{self, Holder};

/// The most accounts of one transaction.
const BATCH: i64 = 100;

/// The result of [`respell`].
#[derive(Debug, Default)]
pub struct Respelled {
    /// How many addresses were changed.
    pub changed: usize,
    /// Accounts that were left as they are.
    pub left: Vec<Left>,
}

/// An account whose address keeps its older spelling, so that nobody can sign in to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// Another account has the address.
    Taken {
        /// The account that keeps its older spelling.
        holder: Holder,
        /// The account that has today's spelling already.
        other: Holder,
    },
    /// The address has no valid domain.
    NoDomain(Holder),
}

impl Left {
    fn holder(&self) -> &Holder {
        match self {
            Self::Taken { holder, .. } | Self::NoDomain(holder) => holder,
        }
    }

    /// The text for the log, which holds no addresses.
    fn without_addresses(&self) -> String {
        let id = self.holder().id;
        match self {
            Self::Taken { other, .. } => format!(
                "users {id} and {} have one address in two spellings, and only the second can sign in; `oneseat migrate` shows both; \
                 keep one: oneseat user remove {id}",
                other.id
            ),
            Self::NoDomain(_) => format!(
                "user {id} has an address with a domain that does not exist, and cannot sign in: oneseat user remove {id}"
            ),
        }
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { holder, other } => write!(
                f,
                "left as they are: {} ({}) and {} ({}) are one address, {}, and only the second can sign in; \
                 keep one: oneseat user remove {}, or the other id",
                holder.email,
                holder.id,
                other.email,
                other.id,
                readable_address(&other.email),
                holder.id
            ),
            Self::NoDomain(Holder { id, email }) => write!(
                f,
                "left as it is: {email} ({id}), whose domain cannot be spelled in ASCII; nobody can sign in with it: oneseat user remove {id}"
            ),
        }
    }
}

/// Rewrites every address in today's spelling. Logs the accounts that are left at each start, until an
/// operator has removed or changed them.
///
/// # Errors
/// Those of [`migrations::take_turns`]. What was done before stays done.
pub fn respell(url: &str) -> Result<Respelled, migrations::Error> {
    let (mut respelled, mut after) = (Respelled::default(), Uuid::nil());
    migrations::take_turns(url, spelling::any, |conn| {
        // A trigger writes the sessions of these users, too.
        history::wait_for_the_end_of_all(conn)?;
        let (mut batch, step) = respell_some(conn, &mut after)?;
        respelled.changed += batch.changed;
        respelled.left.append(&mut batch.left);
        Ok(step)
    })?;
    if respelled.changed > 0 {
        log::info!("gave {} addresses their spelling", respelled.changed);
    }
    for left in &respelled.left {
        log::warn!("{}", left.without_addresses());
    }
    Ok(respelled)
}

fn respell_some(conn: &mut PgConnection, after: &mut Uuid) -> QueryResult<(Respelled, Step)> {
    let mut respelled = Respelled::default();
    let found = spelling::find(conn, *after, BATCH)?;
    for holder in &found {
        respell_one(conn, holder, &mut respelled)?;
    }
    let Some(last) = found.last() else {
        return Ok((respelled, Step::Done));
    };
    *after = last.id;
    Ok((respelled, Step::More))
}

fn respell_one(conn: &mut PgConnection, holder: &Holder, respelled: &mut Respelled) -> QueryResult<()> {
    match holder.email.parse::<Email>() {
        Err(_) => respelled.left.push(Left::NoDomain(holder.clone())),
        Ok(email) if email.as_str() == holder.email => spelling::complete(conn, holder, &email)?,
        Ok(email) if spelling::respell(conn, holder, &email)? => {
            readdress(conn, &Email::stored(&holder.email).digest(), &email.digest())?;
            respelled.changed += 1;
        }
        Ok(email) => {
            let holder = holder.clone();
            let other = spelling::holder_of(conn, &email)?.unwrap_or_else(|| holder.clone());
            respelled.left.push(Left::Taken { holder, other });
        }
    }
    Ok(())
}
