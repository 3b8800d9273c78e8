//! Lists of live and past sessions, and of locked addresses.

use chrono::{DateTime, Utc};
use diesel::dsl::{exists, not, sql};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text, Timestamptz};
use uuid::Uuid;

use super::keys::{Counting, Keys};
use super::pagination::{Counted, Cursor, List, Page, Position};
use super::search::{Search, Word};
use crate::auth::{Auth, Error};
use crate::config::SessionPolicy;
use crate::db::PgConnection;
use crate::db::clock::now;
use crate::db::schema::{ended_sessions, sessions, users};
use crate::sessions::store::ends_at;
use crate::sessions::{EndReason, EndedSession, Session, history};
use crate::users::User;
use crate::users::lockout::{self, Locked};
use crate::users::plain::is_called;
use crate::users::store;

type LiveCondition = Box<dyn BoxableExpression<sessions::table, Pg, SqlType = Bool>>;
type EndedCondition = Box<dyn BoxableExpression<ended_sessions::table, Pg, SqlType = Nullable<Bool>>>;

/// Shown in place of the name of a user whose account is gone.
pub const REMOVED_USER: &str = "Removed user";

/// The text of device and address, for a search. A row that an earlier version wrote has no device in words,
/// so the `User-Agent` that its browser sent is searched.
macro_rules! origin_text {
    ($table:literal) => {
        sql::<Text>(concat!(
            "coalesce(",
            $table,
            ".folded_origin, ",
            "plain_letters(coalesce(",
            $table,
            ".user_agent, '')) || ' ' || host(",
            $table,
            ".ip_address))"
        ))
    };
}

fn lives_and_shows(search: &Search, policy: &SessionPolicy) -> LiveCondition {
    let lives = ends_at(policy).gt(now());
    match search {
        Search::All => Box::new(lives),
        // The check whether a session lives takes longer, so it comes last.
        Search::For(words) => words
            .each()
            .iter()
            .fold(Box::new(lives), |others: LiveCondition, word| {
                Box::new(shows_live(word).and(others))
            }),
    }
}

fn shows_live(word: &Word) -> LiveCondition {
    // A session that an earlier version opened has no copy of what its user is found by.
    let user = users::table.filter(users::id.eq(sessions::user_id));
    let is_named = sql::<Text>("coalesce(sessions.folded_user, '')")
        .like(word.pattern())
        .or(sessions::folded_user
            .is_null()
            .and(exists(user.filter(is_called(word.pattern())))));
    let comes_from = |pattern| origin_text!("sessions").like(pattern);
    let is_within = |network| sessions::ip_address.is_contained_by_or_eq(network);
    match (word.origin_pattern(), word.network()) {
        (None, None) => Box::new(is_named),
        (Some(pattern), None) => Box::new(is_named.or(comes_from(pattern))),
        (None, Some(network)) => Box::new(is_within(network).or(is_named)),
        (Some(pattern), Some(network)) => Box::new(is_within(network).or(comes_from(pattern)).or(is_named)),
    }
}

fn shows_ended(word: &Word) -> EndedCondition {
    let user = users::table.filter(users::id.eq(ended_sessions::user_id));
    let is_named = || exists(user.filter(is_called(word.pattern()))).nullable();
    let mut shows: EndedCondition = match word.origin_pattern() {
        Some(pattern) => Box::new(
            origin_text!("ended_sessions")
                .like(pattern)
                .or(is_named())
                .nullable(),
        ),
        None => Box::new(is_named()),
    };
    if let Some(network) = word.network() {
        shows = Box::new(
            ended_sessions::ip_address
                .is_contained_by_or_eq(network)
                .or(shows),
        );
    }
    match labelled(word) {
        Some(label) => Box::new(label.or(shows)),
        None => shows,
    }
}

/// Past sessions with a label that the word stands for: how they ended, or that their user is gone.
fn labelled(word: &Word) -> Option<EndedCondition> {
    let reasons: Vec<EndReason> = EndReason::ALL
        .into_iter()
        .filter(|reason| word.means(reason.in_words()))
        .collect();
    if word.means(REMOVED_USER) {
        let user = users::table.filter(users::id.eq(ended_sessions::user_id));
        return Some(Box::new(not(exists(user)).nullable()));
    }
    (!reasons.is_empty())
        .then(|| Box::new(ended_sessions::reason.eq_any(reasons).nullable()) as EndedCondition)
}

fn ended_shows(search: &Search) -> Option<EndedCondition> {
    let Search::For(words) = search else {
        return None;
    };
    let both = |one: EndedCondition, other: EndedCondition| Box::new(one.and(other)) as EndedCondition;
    let each = words.parts(labelled).into_iter().filter_map(|part| {
        let words = part.words.iter().map(shows_ended).reduce(both)?;
        Some(match part.label {
            Some(label) => Box::new(label.or(words)),
            None => words,
        })
    });
    each.reduce(both)
}

/// The ids of the live sessions that match, except `own`. `before`: only those that began before that time.
pub(in crate::auth) fn matching_others(
    conn: &mut PgConnection,
    search: &Search,
    before: Option<DateTime<Utc>>,
    own: Uuid,
    policy: &SessionPolicy,
) -> QueryResult<Vec<Uuid>> {
    let mut others = sessions::table
        .filter(lives_and_shows(search, policy))
        .filter(sessions::id.ne(own))
        .select(sessions::id)
        .into_boxed();
    if let Some(before) = before {
        // A session of before a step back of the clock began in the future. It was there, too.
        let is_of_later_clock = sessions::created_at.gt(sql::<Timestamptz>("clock_timestamp()"));
        others = others.filter(sessions::created_at.lt(before).or(is_of_later_clock));
    }
    others.load(conn)
}

fn find_live(
    conn: &mut PgConnection,
    search: &Search,
    counting: Counting,
    (position, limit): (Position, i64),
    own: Option<Uuid>,
    policy: &SessionPolicy,
) -> QueryResult<Counted<(Session, User)>> {
    let found = sessions::table
        .filter(lives_and_shows(search, policy))
        .select((sessions::id, sessions::created_at))
        .into_boxed();
    let keys = Keys {
        found,
        list: List::Sessions,
        is_search: *search != Search::All,
        counting,
        position,
        limit,
        own,
    }
    .load(conn)?;
    let rows = sessions::table
        .inner_join(users::table)
        .filter(sessions::id.eq_any(keys.ids()))
        .order((sessions::created_at.desc(), sessions::id.desc()))
        .select((Session::as_select(), ends_at(policy), User::as_select()))
        .load::<(Session, DateTime<Utc>, User)>(conn)?;
    let judged = |(session, ends_at, user): (Session, _, _)| (session.judged(ends_at), user);
    let rows = rows.into_iter().map(judged).collect();
    Ok(keys.counted(keys.page(rows)))
}

impl Auth {
    /// Live sessions and their users, the last to sign in first. Counts nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn live_sessions(
        &self,
        search: Search,
        after: Option<Cursor>,
        limit: i64,
    ) -> Result<Page<(Session, User)>, Error> {
        let (policy, place) = (self.policy.sessions, (after.into(), limit));
        let find =
            move |conn: &mut _| Ok(find_live(conn, &search, Counting::Nothing, place, None, &policy)?.page);
        self.run(find).await
    }

    /// Live sessions and their users, the last to sign in first, with counts of all that match. `own` is the
    /// caller's session.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn find_sessions(
        &self,
        search: Search,
        position: Position,
        limit: i64,
        own: Option<Uuid>,
    ) -> Result<Counted<(Session, User)>, Error> {
        let policy = self.policy.sessions;
        let place = (position, limit);
        self.run(move |conn| Ok(find_live(conn, &search, Counting::All, place, own, &policy)?))
            .await
    }

    /// How many live sessions match.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn count_live_sessions(&self, search: Search) -> Result<i64, Error> {
        let policy = self.policy.sessions;
        self.query(move |conn| {
            let matching = sessions::table.filter(lives_and_shows(&search, &policy));
            matching.count().get_result(conn)
        })
        .await
    }

    /// Past sessions, the last to end first, each with its user if the account still exists.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn past_sessions(
        &self,
        search: Search,
        reason: Option<EndReason>,
        position: Position,
        limit: i64,
    ) -> Result<Page<(EndedSession, Option<User>)>, Error> {
        self.run(move |conn| {
            let mut found = ended_sessions::table
                .select((ended_sessions::id, ended_sessions::ended_at))
                .into_boxed();
            if let Some(shows) = ended_shows(&search) {
                found = found.filter(shows);
            }
            if let Some(reason) = reason {
                found = found.filter(ended_sessions::reason.eq(reason));
            }
            let keys = Keys {
                found,
                list: List::History,
                is_search: search != Search::All,
                counting: Counting::Nothing,
                position,
                limit,
                own: None,
            }
            .load(conn)?;
            let rows = ended_sessions::table
                .left_join(users::table.on(users::id.eq(ended_sessions::user_id)))
                .filter(ended_sessions::id.eq_any(keys.ids()))
                .order((ended_sessions::ended_at.desc(), ended_sessions::id.desc()))
                .select((EndedSession::as_select(), Option::<User>::as_select()))
                .load::<(EndedSession, Option<User>)>(conn)?;
            Ok(keys.page(rows))
        })
        .await
    }

    /// A user's recent past sessions, the last to end first.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn history_of(&self, user: Uuid, limit: i64) -> Result<Vec<EndedSession>, Error> {
        self.query(move |conn| history::of_user(conn, user, limit)).await
    }

    /// Addresses that are locked now.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn locked(&self) -> Result<Locked, Error> {
        self.query(lockout::locked).await
    }

    /// Whether there are no users yet.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn has_no_users(&self) -> Result<bool, Error> {
        Ok(!self.query(store::any).await?)
    }
}
