//! Tests what is remembered, and for how long.

use super::*;
use crate::moment::let_pass;

const SERVER: &str = "a server";
const LEASE: Duration = Duration::from_secs(60);
/// Longer than a test takes, even on a busy machine.
const MOMENT: Duration = Duration::from_secs(30);

fn round(named: &[Uuid]) -> Round {
    Round {
        server: SERVER.into(),
        asked: Moment::now(),
        server_time: Utc::now(),
        is_lost: false,
        is_reliable: true,
        named: named.to_vec(),
        ended: Vec::new(),
        lease: Some(LEASE),
    }
}

fn token(n: u8) -> TokenDigest {
    crate::token::Token::parse(&[b'0' + n; 64]).unwrap().digest()
}

/// A memory that has heard one round.
fn memory(capacity: usize) -> Memory<u8> {
    let memory = Memory::new(capacity);
    memory.hear(&round(&[]));
    memory
}

impl Memory<u8> {
    fn learn(&self, user: Uuid, n: u8) {
        self.keep(self.mark(), SERVER, user, token(n), n);
    }

    fn knows(&self, n: u8) -> bool {
        self.recall(&token(n)).is_some_and(|(value, _)| value == n)
    }
}

#[test]
fn what_was_learned_twice_is_forgotten_when_its_user_is_named() {
    let (memory, user, other) = (memory(10), Uuid::new_v4(), Uuid::new_v4());
    for n in [1, 1, 1] {
        memory.learn(user, n);
    }
    memory.learn(other, 2);
    assert!(memory.knows(1) && memory.knows(2));
    memory.hear(&round(&[user]));
    assert!(!memory.knows(1) && memory.knows(2));
}

#[test]
fn a_user_has_one_token() {
    let (memory, user) = (memory(10), Uuid::new_v4());
    memory.learn(user, 1);
    memory.learn(user, 2);
    assert!(!memory.knows(1) && memory.knows(2));
}

#[test]
fn what_makes_room_for_others_is_no_longer_in_the_index() {
    let memory = memory(100);
    for n in 0..=u8::MAX {
        let token = crate::token::Token::parse(hex::encode([n; 32]).as_bytes()).unwrap();
        memory.keep(memory.mark(), SERVER, Uuid::new_v4(), token.digest(), n);
    }
    let index = memory.index();
    assert_eq!(index.tokens.len(), memory.values.len());
    assert!(
        index
            .tokens
            .values()
            .all(|token| memory.values.contains_key(token))
    );
}

#[test]
fn an_answer_that_began_before_its_user_was_named_is_not_kept() {
    let (memory, user) = (memory(10), Uuid::new_v4());
    let mark = memory.mark();
    memory.hear(&round(&[user]));
    memory.keep(mark, SERVER, user, token(1), 1);
    assert!(!memory.knows(1));
    // Nor is an answer kept that began before all users were named.
    let (other, mark) = (Uuid::new_v4(), memory.mark());
    memory.hear(&round(&[Uuid::nil()]));
    memory.keep(mark, SERVER, other, token(2), 2);
    assert!(!memory.knows(2));
}

#[test]
fn another_server_means_that_nothing_is_known() {
    let (memory, user) = (memory(10), Uuid::new_v4());
    memory.learn(user, 1);
    let other = Round {
        server: "another".into(),
        ..round(&[])
    };
    memory.hear(&other);
    assert!(!memory.knows(1));
    memory.learn(user, 2);
    assert!(!memory.knows(2), "the answer came from the server that was left");
    memory.keep(memory.mark(), "another", user, token(3), 3);
    assert!(memory.knows(3));
    memory.hear(&Round {
        is_lost: true,
        ..other
    });
    assert!(!memory.knows(3));
}

#[test]
fn while_the_feed_is_not_reliable_nothing_is_kept() {
    let (memory, user) = (memory(10), Uuid::new_v4());
    memory.learn(user, 1);
    let unreliable = Round {
        is_reliable: false,
        lease: None,
        ..round(&[])
    };
    memory.hear(&unreliable);
    assert!(!memory.knows(1));
    let mark = memory.mark();
    memory.learn(user, 1);
    memory.hear(&round(&[]));
    assert!(!memory.knows(1));
    memory.keep(mark, SERVER, user, token(1), 1);
    assert!(!memory.knows(1), "the query began before the feed was reliable");
    memory.learn(user, 1);
    assert!(memory.knows(1));
    memory.forget(&token(1));
    assert!(!memory.knows(1));
}

#[test]
fn without_a_lease_nothing_is_remembered() {
    let (memory, user) = (Memory::new(10), Uuid::new_v4());
    let lease = |lease| Round { lease, ..round(&[]) };
    memory.hear(&lease(None));
    memory.learn(user, 1);
    assert!(!memory.knows(1));
    memory.hear(&lease(Some(LEASE)));
    let_pass(LEASE - MOMENT);
    assert!(memory.knows(1));
    let_pass(MOMENT);
    assert!(!memory.knows(1));
}

#[test]
fn only_what_took_something_away_is_waited_for() {
    let (memory, user) = (memory(10), Uuid::new_v4());
    let first = memory.last_end(user);
    memory.hear(&round(&[user]));
    assert_eq!(memory.last_end(user), first);
    memory.hear(&Round {
        ended: vec![user],
        ..round(&[user])
    });
    assert!(memory.last_end(user).since(first) > Duration::ZERO);
}

#[test]
fn when_something_may_have_been_missed_it_may_be_the_end_of_anybody_just_now() {
    let (memory, user) = (memory(10), Uuid::new_v4());
    let missed = [
        Round {
            is_lost: true,
            ..round(&[])
        },
        Round {
            server: "another".into(),
            ..round(&[])
        },
        Round {
            is_reliable: false,
            ..round(&[])
        },
        // The first that is reliable again.
        round(&[]),
        round(&[Uuid::nil()]),
    ];
    for round in missed {
        let before = Moment::now();
        memory.hear(&round);
        assert!(memory.last_end(user).is_from(before), "{round:?}");
    }
    let last = memory.last_end(user);
    memory.hear(&round(&[Uuid::new_v4()]));
    assert_eq!(memory.last_end(user), last);
}

#[test]
fn a_value_that_is_old_is_asked_for_again() {
    let (memory, user) = (memory(10), Uuid::new_v4());
    memory.learn(user, 1);
    let_pass(OLDEST_VALUE - MOMENT);
    memory.hear(&round(&[]));
    assert!(memory.knows(1));
    let_pass(MOMENT);
    memory.hear(&round(&[]));
    assert!(!memory.knows(1));
    memory.learn(user, 1);
    assert!(memory.knows(1));
}

#[test]
fn an_answer_that_took_long_is_not_kept() {
    let (memory, user) = (memory(10), Uuid::new_v4());
    let mark = memory.mark();
    let_pass(OLDEST_MARK);
    memory.keep(mark, SERVER, user, token(1), 1);
    assert!(
        !memory.knows(1),
        "the feed may have forgotten what it named meanwhile"
    );
}

#[test]
fn however_many_users_are_named_no_answer_of_before_is_kept() {
    let (memory, mark) = (memory(10), memory(10).mark());
    let named: Vec<Uuid> = (0..=MOST_NAMES as u128).map(Uuid::from_u128).collect();
    memory.hear(&round(&named[1..]));
    for (n, user) in (1..).zip([named[1], named[MOST_NAMES / 2], named[MOST_NAMES]]) {
        memory.keep(mark, SERVER, user, token(n), n);
        assert!(!memory.knows(n), "{n}");
    }
    // One more than is kept apart: from now on, all count as named.
    memory.hear(&round(&[Uuid::max()]));
    memory.keep(mark, SERVER, named[1], token(4), 4);
    assert!(!memory.knows(4));
    memory.learn(named[1], 5);
    assert!(memory.knows(5));
}

#[test]
fn names_are_forgotten_when_no_query_of_before_can_be_under_way() {
    let memory = memory(10);
    let names: Vec<Uuid> = (1..=MOST_NAMES as u128).map(Uuid::from_u128).collect();
    memory.hear(&round(&names));
    let (mark, late) = (memory.mark(), Uuid::max());
    let_pass(NAMES_KEPT);
    memory.hear(&round(&[late]));
    assert_eq!(memory.index().names.len(), 1);
    memory.keep(memory.mark(), SERVER, names[0], token(1), 1);
    assert!(memory.knows(1), "not everybody counts as named");
    memory.keep(mark, SERVER, late, token(2), 2);
    assert!(!memory.knows(2));
}

#[test]
fn postgresqls_time_is_told_with_a_margin_for_a_clock_that_runs_faster() {
    let memory = Memory::new(10);
    let told = round(&[]);
    memory.hear(&told);
    memory.learn(Uuid::new_v4(), 1);
    let_pass(LEASE - MOMENT);
    let (_, time) = memory.recall(&token(1)).unwrap();
    assert_eq!(time.earliest, told.server_time);
    let fastest = told.server_time + (LEASE - MOMENT) * 102 / 100;
    assert!(time.latest >= fastest, "{time:?}, {fastest}");
}

#[test]
fn a_server_leases_from_its_first_lease_until_that_is_over() {
    let memory = Memory::<u8>::new(10);
    let leased = |server: &str| memory.is_leased_by(Some(server));
    let hear = |server: &str, lease| {
        let server = server.into();
        memory.hear(&Round {
            server,
            lease,
            ..round(&[])
        });
    };
    hear("one", None);
    assert!(!leased("one"));
    hear("one", Some(LEASE));
    assert!(leased("one") && !leased("another") && !memory.is_leased_by(None));
    hear("one", None);
    assert!(leased("one"), "its lease still runs");
    hear("another", None);
    assert!(
        !leased("another") && !leased("one"),
        "that was a lease of the other"
    );
    hear("another", Some(LEASE));
    let_pass(LEASE - MOMENT);
    assert!(leased("another"));
    let_pass(MOMENT);
    assert!(!leased("another"));
}
