//! The verdict after a run: how each session ended according to the database, and whether the histories
//! agree.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::checker::{Call, Failure, check};
use super::seat::{Deed, End, Number, Seat, State, Whose};
use super::world::{REMOVED, User, World, locked};
use crate::support::Database;

/// How many calls are shown before the one that cannot be explained.
const SHOWN: usize = 12;

/// Fails with an excerpt of the history that breaks a law.
pub fn pronounce(world: &World, database: &Database) {
    let began = Instant::now();
    if let Err(excerpt) = judge(world, database) {
        panic!("{excerpt}");
    }
    println!(
        "{} operations checked in {:.1?}",
        world.operations(),
        began.elapsed()
    );
}

/// Checks the histories while no caller acts.
///
/// # Errors
/// An excerpt of the history that breaks a law.
pub fn judge(world: &World, database: &Database) -> Result<(), String> {
    let doubles =
        "select count(*) from (select from sessions group by user_id having count(*) > 1) as doubles";
    assert_eq!(database.number(doubles), 0, "the first law is broken");
    let started = world.now();
    let mut seats = seats(database);
    let answered = Some(world.now());
    for user in &world.users {
        let seat = seats.remove(&user.id).unwrap_or_default();
        let mut calls = locked(&user.calls).clone();
        assert_known(user, &seat, &calls);
        calls.retain(|call| may_have_happened(&seat, call));
        let live = seat.fates.iter().find(|(_, reason)| reason.is_none());
        calls.push(Call {
            deed: Deed::Saw {
                seat: live.map(|(token, _)| *token),
            },
            started,
            answered,
            place: "database",
        });
        if let Err(failure) = check(&seat, &calls) {
            return Err(explained(user, &seat, &calls, failure));
        }
    }
    Ok(())
}

/// How each session of each user ended; sign-ins gave their numbers as user agents. One statement, so one
/// snapshot.
fn seats(database: &Database) -> HashMap<Uuid, Seat> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        user_id: Uuid,
        #[diesel(sql_type = Text)]
        number: String,
        #[diesel(sql_type = Nullable<Text>)]
        reason: Option<String>,
    }
    let rows: Vec<Row> = diesel::sql_query(format!(
        "select user_id, user_agent as number, case when expires_at <= now() then 'expired' end as reason
         from sessions where user_agent is not null
         union all select user_id, user_agent, reason from ended_sessions where user_agent is not null
         union all select user_id, user_agent, 'removed' from {REMOVED}"
    ))
    .load(&mut database.connect())
    .unwrap();
    let mut seats: HashMap<Uuid, Seat> = HashMap::new();
    for row in rows {
        let fates = &mut seats.entry(row.user_id).or_default().fates;
        let end = row.reason.map(|reason| match reason.as_str() {
            "removed" => End::Removed,
            reason => End::For(reason.parse().unwrap()),
        });
        let earlier = fates.insert(row.number.parse().unwrap(), end);
        assert!(earlier.is_none(), "one sign-in, two sessions: #{}", row.number);
    }
    seats
}

/// Every session in the database comes from a sign-in that succeeded or whose answer was lost.
fn assert_known(user: &User, seat: &Seat, calls: &[Call<Deed>]) {
    let known: Vec<Number> = calls
        .iter()
        .filter(|call| matches!(call.deed, Deed::SignedIn { .. }))
        .filter_map(|call| call.deed.token())
        .collect();
    for token in seat.fates.keys() {
        assert!(
            known.contains(token),
            "{}: nobody signed in as #{token}",
            user.email
        );
    }
}

/// Removes lost calls that, according to the database, were never done.
fn may_have_happened(seat: &Seat, call: &Call<Deed>) -> bool {
    call.answered.is_some()
        || match call.deed {
            Deed::SignedIn { token, .. } => seat.fates.contains_key(&token),
            Deed::Ended {
                whose: Whose::Token(token),
                end,
            } => seat.fates.get(&token) == Some(&Some(end)),
            _ => true,
        }
}

/// The calls around the one that cannot be explained, in the order of their starts.
fn explained(user: &User, seat: &Seat, calls: &[Call<Deed>], failure: Failure<State>) -> String {
    let (at, states) = match failure {
        Failure::Unexplained { call, states } => (call, states),
        Failure::Undecided { call } => (call, Vec::new()),
    };
    let culprit = &calls[at];
    let mut before: Vec<&Call<Deed>> = calls
        .iter()
        .filter(|call| Some(call.started) <= culprit.answered)
        .collect();
    before.sort_by_key(|call| call.started);
    let latest = before.len().saturating_sub(SHOWN);
    let mut text = if states.is_empty() {
        format!("the history of {} could not be decided:\n", user.email)
    } else {
        format!("the history of {} cannot be explained:\n", user.email)
    };
    for (n, call) in before.into_iter().enumerate() {
        let is_about_it = call.deed.token() == culprit.deed.token() && call.deed.token().is_some();
        if n >= latest || (is_about_it && call.deed.is_change()) || std::ptr::eq(call, culprit) {
            let mark = if std::ptr::eq(call, culprit) { '>' } else { ' ' };
            let _ = writeln!(text, "{mark} {}", line(call));
        }
    }
    for state in states.iter().take(5) {
        let _ = writeln!(text, "possible before it: {state}");
    }
    for (token, fate) in fates(seat, &states, culprit) {
        let _ = writeln!(text, "in the end, #{token}: {fate}");
    }
    text
}

fn line(call: &Call<Deed>) -> String {
    let milliseconds = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1_000.0);
    let answered = call.answered.map_or("never".to_owned(), milliseconds);
    let started = milliseconds(call.started);
    format!("{started:>9} to {answered:>9}  {:<8}  {}", call.place, call.deed)
}

/// What the database says about the sessions of these calls.
fn fates(seat: &Seat, states: &[State], culprit: &Call<Deed>) -> Vec<(Number, String)> {
    let mut tokens: Vec<Number> = states
        .iter()
        .filter_map(State::seat)
        .chain(culprit.deed.token())
        .collect();
    tokens.sort_unstable();
    tokens.dedup();
    let fate = |token: &Number| match seat.fates.get(token) {
        Some(Some(end)) => end.to_string(),
        Some(None) => "live".to_owned(),
        None => "not in the database".to_owned(),
    };
    tokens.into_iter().map(|token| (token, fate(&token))).collect()
}
