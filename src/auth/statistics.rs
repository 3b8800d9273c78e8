//! Figures: who is signed in now, and the sign-ins and ends of the last day and the last 30 days.

use chrono::NaiveDate;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Date, Integer, Text};

use super::{Auth, Error};
use crate::config::SessionPolicy;
use crate::db::PgConnection;
use crate::sessions::{EndReason, store};

/// Days that the figures look back.
pub const DAYS: usize = 30;

/// A number for the last 24 hours and for the last 30 days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Last 24 hours.
    pub day: i64,
    /// Last 30 days.
    pub month: i64,
}

/// The figures.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// The last day of [`Statistics::by_day`] (UTC).
    pub today: NaiveDate,
    /// Live sessions.
    pub signed_in_now: i64,
    /// Sessions that began.
    pub sign_ins: Tally,
    /// Sessions that ended, by reason, in the order of [`EndReason::ALL`].
    pub endings: Vec<(EndReason, Tally)>,
    /// Endings of each of the last 30 days (UTC), the oldest first, in the order of [`EndReason::ALL`].
    pub by_day: Vec<[i64; EndReason::ALL.len()]>,
}

#[derive(QueryableByName)]
struct Signed {
    #[diesel(sql_type = Date)]
    today: NaiveDate,
    #[diesel(sql_type = BigInt)]
    day: i64,
    #[diesel(sql_type = BigInt)]
    month: i64,
}

#[derive(QueryableByName)]
struct Ended {
    #[diesel(sql_type = Text)]
    reason: EndReason,
    #[diesel(sql_type = Integer)]
    days_ago: i32,
    #[diesel(sql_type = BigInt)]
    endings: i64,
    #[diesel(sql_type = BigInt)]
    last_day: i64,
    #[diesel(sql_type = BigInt)]
    last_month: i64,
}

impl Auth {
    /// The figures now.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn statistics(&self) -> Result<Statistics, Error> {
        let policy = self.policy.sessions;
        self.query(move |conn| statistics(conn, &policy)).await
    }
}

fn statistics(conn: &mut PgConnection, policy: &SessionPolicy) -> QueryResult<Statistics> {
    let signed_in_now = store::count_live(conn, policy)?;
    // A session that began within the last 30 days, and has ended, also ended within them. So the index on
    // `ended_at` serves both queries.
    let signed: Signed = diesel::sql_query(
        "select
             current_date as today,
             count(*) filter (where created_at > now() - interval '1 day') as day,
             count(*) as month
         from (
             select created_at from sessions where created_at > now() - interval '30 days'
             union all
             select created_at from ended_sessions
             where ended_at > now() - interval '30 days' and created_at > now() - interval '30 days'
         ) as began",
    )
    .get_result(conn)?;
    let ended: Vec<Ended> = diesel::sql_query(
        "select reason,
             current_date - ended_at::date as days_ago,
             count(*) as endings,
             count(*) filter (where ended_at > now() - interval '1 day') as last_day,
             count(*) filter (where ended_at > now() - interval '30 days') as last_month
         from ended_sessions
         where ended_at > now() - interval '31 days'
         group by 1, 2",
    )
    .load(conn)?;
    let mut endings = EndReason::ALL.map(|reason| (reason, Tally::default()));
    let mut by_day = vec![[0; EndReason::ALL.len()]; DAYS];
    for row in ended {
        for (place, (reason, tally)) in endings.iter_mut().enumerate() {
            if *reason == row.reason {
                tally.day += row.last_day;
                tally.month += row.last_month;
                let day = usize::try_from(row.days_ago)
                    .ok()
                    .and_then(|ago| (DAYS - 1).checked_sub(ago));
                if let Some(day) = day {
                    by_day[day][place] += row.endings;
                }
            }
        }
    }
    Ok(Statistics {
        today: signed.today,
        signed_in_now,
        sign_ins: Tally {
            day: signed.day,
            month: signed.month,
        },
        endings: endings.into(),
        by_day,
    })
}
