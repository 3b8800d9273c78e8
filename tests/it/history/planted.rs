//! Tests of the checker itself, because one that finds nothing proves nothing: histories that it must reject,
//! and histories that it must accept.

use std::time::Duration;

use oneseat::sessions::EndReason::{self, *};

use super::checker::{Call, Failure, check};
use super::seat::{Deed, End, Number, Seat, Whose};

/// A session and how it ended.
type Fate = (Number, Option<EndReason>);

fn call(deed: Deed, started: u64, answered: Option<u64>) -> Call<Deed> {
    Call {
        deed,
        started: Duration::from_millis(started),
        answered: answered.map(Duration::from_millis),
        place: "here",
    }
}

/// The index of the call at which the explanation fails.
fn unexplained(fates: &[Fate], calls: &[Call<Deed>]) -> Option<usize> {
    let seat = Seat {
        fates: fates
            .iter()
            .map(|(token, reason)| (*token, reason.map(End::For)))
            .collect(),
    };
    match check(&seat, calls) {
        Ok(()) => None,
        Err(Failure::Unexplained { call, .. }) => Some(call),
        Err(undecided) => panic!("{undecided:?}"),
    }
}

/// The calls one after the other, ten milliseconds each.
fn in_turn(deeds: impl IntoIterator<Item = Deed>) -> Vec<Call<Deed>> {
    let times = (0..).step_by(20);
    let calls = deeds.into_iter().zip(times);
    calls.map(|(deed, at)| call(deed, at, Some(at + 10))).collect()
}

fn signed_in(token: Number) -> Deed {
    Deed::SignedIn { token, password: 0 }
}

fn accepted(token: Number) -> Deed {
    Deed::Accepted { token }
}

fn refused(token: Number, reason: EndReason) -> Deed {
    let end = End::For(reason);
    Deed::Refused { token, end }
}

fn ended(token: Number, reason: EndReason) -> Deed {
    let (whose, end) = (Whose::Token(token), End::For(reason));
    Deed::Ended { whose, end }
}

#[test]
fn a_life_in_order_passes() {
    let fates = [
        (1, Some(Replaced)),
        (2, Some(SignedOut)),
        (3, Some(PasswordChanged)),
        (4, Some(AccountDisabled)),
        (5, None),
    ];
    let calls = in_turn([
        signed_in(1),
        accepted(1),
        signed_in(2),
        refused(1, Replaced),
        accepted(2),
        ended(2, SignedOut),
        refused(2, SignedOut),
        Deed::FoundNone { whose: Whose::User },
        signed_in(3),
        Deed::PasswordSet { password: 1 },
        refused(3, PasswordChanged),
        Deed::WrongPassword { password: 0 },
        Deed::SignedIn {
            token: 4,
            password: 1,
        },
        Deed::Disabled,
        Deed::RefusedAsDisabled { password: 1 },
        Deed::Enabled,
        Deed::SignedIn {
            token: 5,
            password: 1,
        },
        Deed::Saw { seat: Some(5) },
    ]);
    assert_eq!(unexplained(&fates, &calls), None);
}

#[test]
fn a_dead_token_that_is_accepted_after_an_acknowledged_sign_out_is_found() {
    let fates = [(1, Some(SignedOut))];
    let calls = in_turn([signed_in(1), ended(1, SignedOut), accepted(1)]);
    assert_eq!(unexplained(&fates, &calls), Some(2));
}

#[test]
fn a_second_live_token_is_found() {
    for fates in [
        [(1, Some(Replaced)), (2, None)],
        [(1, None), (2, None)],
        [(1, None), (2, Some(Replaced))],
    ] {
        let calls = in_turn([signed_in(1), signed_in(2), accepted(2), accepted(1)]);
        assert!(unexplained(&fates, &calls).is_some(), "{fates:?}");
    }
}

#[test]
fn an_acknowledged_sign_in_that_nobody_knows_is_found() {
    let never_known = Deed::Refused {
        token: 1,
        end: End::Removed,
    };
    let calls = in_turn([signed_in(1), never_known]);
    assert_eq!(unexplained(&[(1, None)], &calls), Some(1));
    // The same history, but no call asks with the token: the database does not have the session.
    let calls = in_turn([signed_in(1), Deed::Saw { seat: None }]);
    assert_eq!(unexplained(&[], &calls), Some(1));
}

#[test]
fn a_stale_answer_at_another_instance_is_found() {
    // The old token is accepted 5 ms longer than the acknowledgement of the new one allows.
    let fates = [(1, Some(Replaced)), (2, None)];
    let calls = [
        call(signed_in(1), 0, Some(10)),
        call(signed_in(2), 20, Some(30)),
        call(accepted(1), 31, Some(35)),
    ];
    assert_eq!(unexplained(&fates, &calls), Some(2));
    // If the validation began before the acknowledgement, it is no fault: the calls overlapped.
    let calls = [
        calls[0].clone(),
        calls[1].clone(),
        call(accepted(1), 29, Some(35)),
    ];
    assert_eq!(unexplained(&fates, &calls), None);
    // But it is a fault once another call has seen the session ended.
    let calls = [
        call(signed_in(1), 0, Some(10)),
        call(signed_in(2), 20, Some(60)),
        call(refused(1, Replaced), 30, Some(35)),
        call(accepted(1), 40, Some(45)),
    ];
    assert_eq!(unexplained(&fates, &calls), Some(3));
}

#[test]
fn a_wrong_reason_is_found() {
    let calls = in_turn([signed_in(1), ended(1, SignedOut), refused(1, Revoked)]);
    for fate in [Revoked, SignedOut] {
        assert!(unexplained(&[(1, Some(fate))], &calls).is_some());
    }
    // Nobody signed out: only the clock of an instance considers the session over.
    let calls = in_turn([signed_in(1), accepted(1), refused(1, Expired)]);
    assert_eq!(unexplained(&[(1, Some(Expired))], &calls), Some(2));
}

#[test]
fn a_session_that_survives_a_new_password_is_found() {
    let calls = in_turn([signed_in(1), Deed::PasswordSet { password: 1 }, accepted(1)]);
    assert_eq!(unexplained(&[(1, None)], &calls), Some(1));
    let calls = in_turn([Deed::PasswordSet { password: 1 }, signed_in(1)]);
    assert_eq!(unexplained(&[(1, None)], &calls), Some(1));
}

#[test]
fn calls_that_meet_may_have_happened_in_any_order() {
    let fates = [(1, Some(Revoked)), (2, Some(Replaced)), (3, None)];
    let calls = [
        call(signed_in(1), 0, Some(10)),
        // Revoked first, then replaced by the second, then by the third: in the order of no start and no answer.
        call(signed_in(3), 20, Some(100)),
        call(signed_in(2), 25, Some(50)),
        call(accepted(2), 60, Some(70)),
        call(ended(1, Revoked), 22, Some(90)),
        call(refused(1, Revoked), 30, Some(95)),
        call(accepted(3), 110, Some(120)),
    ];
    assert_eq!(unexplained(&fates, &calls), None);
    // Where the order is seen, there is only that one.
    let mut calls = calls.to_vec();
    calls.push(call(accepted(2), 130, Some(140)));
    assert_eq!(unexplained(&fates, &calls), Some(7));
}

#[test]
fn an_end_that_could_have_found_nothing_may_have_found_what_was_under_way() {
    let fates = [(1, Some(Revoked)), (2, None)];
    let calls = [
        call(signed_in(1), 0, Some(40)),
        // It was answered before the sign-in, and yet it comes after it.
        call(Deed::EndedAll, 10, Some(30)),
        call(refused(1, Revoked), 50, Some(60)),
        call(signed_in(2), 70, Some(80)),
    ];
    assert_eq!(unexplained(&fates, &calls), None);
    let calls = [calls[0].clone(), calls[2].clone(), calls[3].clone()];
    assert_eq!(unexplained(&fates, &calls), Some(1));
}

#[test]
fn what_was_not_answered_may_have_happened_late_or_never() {
    let lost = call(ended(1, Revoked), 20, None);
    let rest = [
        call(signed_in(1), 0, Some(10)),
        call(accepted(1), 500, Some(510)),
        call(refused(1, Revoked), 600, Some(610)),
    ];
    let late = [&rest[..], std::slice::from_ref(&lost)].concat();
    assert_eq!(unexplained(&[(1, Some(Revoked))], &late), None);
    assert_eq!(unexplained(&[(1, Some(Revoked))], &rest), Some(2));
    let never = [&rest[..2], std::slice::from_ref(&lost)].concat();
    assert_eq!(unexplained(&[(1, None)], &never), None);
    // And not before it was begun.
    let early = [rest[0].clone(), call(refused(1, Revoked), 12, Some(15)), lost];
    assert_eq!(unexplained(&[(1, Some(Revoked))], &early), Some(1));
}

#[test]
fn an_unanswered_call_explains_one_end_and_not_two() {
    let fates = [(1, Some(Revoked)), (2, Some(Revoked)), (3, None)];
    let revoke = Deed::Ended {
        whose: Whose::User,
        end: End::For(Revoked),
    };
    let mut calls = in_turn([signed_in(1), signed_in(2), signed_in(3)]);
    calls.push(call(revoke.clone(), 11, None));
    assert_eq!(unexplained(&fates, &calls), Some(2));
    calls.push(call(revoke, 12, None));
    assert_eq!(unexplained(&fates, &calls), None);
}

/// A long history of one user with four callers, in which an answer in twenty-five is lost.
fn long(lives: usize) -> (Vec<Fate>, Vec<Call<Deed>>) {
    let (mut fates, mut calls) = (Vec::new(), Vec::new());
    for token in 0..lives {
        let at = token as u64 * 100;
        let lost = token % 20 == 0;
        fates.push((token, Some(if lost { Revoked } else { SignedOut })));
        calls.push(call(signed_in(token), at, Some(at + 20)));
        let looks = [(30, 45), (35, 50), (40, 44)].map(|(from, to)| (at + from, at + to));
        calls.extend(looks.map(|(from, to)| call(accepted(token), from, Some(to))));
        if lost {
            let whose = Whose::User;
            let end = End::For(Revoked);
            calls.push(call(Deed::Ended { whose, end }, at + 42, None));
            calls.push(call(Deed::Disabled, at + 42, None));
            calls.push(call(Deed::Enabled, at + 42, None));
        } else {
            calls.push(call(ended(token, SignedOut), at + 43, Some(at + 70)));
        }
        if token % 100 == 0 {
            calls.push(call(Deed::PasswordSet { password: 1 + token }, at + 43, None));
        }
        let reason = fates[token].1.unwrap();
        calls.push(call(refused(token, reason), at + 60, Some(at + 90)));
        calls.push(call(
            Deed::FoundNone { whose: Whose::User },
            at + 65,
            Some(at + 95),
        ));
    }
    (fates, calls)
}

#[test]
fn a_long_history_is_checked_in_little_time() {
    // A search that tries every order would not terminate in time.
    let (fates, mut calls) = long(1_000);
    assert_eq!(unexplained(&fates, &calls), None);
    calls.push(call(accepted(7), 100_100, Some(100_200)));
    assert_eq!(unexplained(&fates, &calls), Some(calls.len() - 1));
}
