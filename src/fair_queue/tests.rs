//! Tests that networks take turns.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn networks_of(address: &str) -> Networks {
    Networks::of(address.parse().unwrap())
}

/// Puts all entries in, and takes them out again.
fn order(entries: &[(&str, u32)]) -> Vec<u32> {
    let mut queue = FairQueue::new(entries.len());
    for (address, entry) in entries {
        assert_eq!(queue.put(networks_of(address), *entry), Put::Queued);
    }
    std::iter::from_fn(|| queue.take()).collect()
}

#[test]
fn networks_take_turns_and_so_do_customers_within_them() {
    let entries = [
        ("2001:db8:1:1::1", 1),
        ("2001:db8:1:1::2", 2),
        ("2001:db8:1:2::1", 3),
        ("192.0.2.1", 4),
        ("192.0.2.1", 5),
        ("192.0.2.2", 6),
    ];
    assert_eq!(order(&entries), [1, 4, 3, 6, 2, 5]);
}

#[test]
fn a_provider_with_many_sites_does_not_keep_another_one_out() {
    let mut queue = FairQueue::new(256);
    for site in 0..256 {
        assert_eq!(
            queue.put(networks_of(&format!("2001:db8:{site:x}::1")), site),
            Put::Queued
        );
    }
    assert!(matches!(
        queue.put(networks_of("198.51.100.1"), 256),
        Put::InPlaceOf(_)
    ));
    let served: Vec<u32> = (0..2).filter_map(|_| queue.take()).collect();
    assert!(served.contains(&256), "{served:?}");
}

#[test]
fn a_network_of_many_customers_does_not_keep_one_of_few_out() {
    let mut queue = FairQueue::new(256);
    for n in 0..256 {
        assert_eq!(
            queue.put(networks_of(&format!("2001:db8:1:{n:x}::1")), n),
            Put::Queued
        );
    }
    // The site has all places: it makes room for others, but not for its own.
    assert!(matches!(
        queue.put(networks_of("2001:db8:1:ffff::1"), 256),
        Put::Full(256)
    ));
    assert!(matches!(
        queue.put(networks_of("192.0.2.1"), 257),
        Put::InPlaceOf(_)
    ));
    assert_eq!(queue.len(), 256);
    let served: Vec<u32> = (0..2).filter_map(|_| queue.take()).collect();
    assert!(served.contains(&257), "{served:?}");
}

#[test]
fn within_a_network_who_has_the_most_makes_room() {
    let mut queue = FairQueue::new(4);
    for n in 0..4 {
        queue.put(networks_of("192.0.2.1"), n);
    }
    assert_eq!(queue.put(networks_of("192.0.2.2"), 4), Put::InPlaceOf(3));
    assert_eq!(queue.put(networks_of("192.0.2.1"), 5), Put::Full(5));
    let rest: Vec<u32> = std::iter::from_fn(|| queue.take()).collect();
    assert_eq!(rest, [0, 4, 1, 2]);
}

#[test]
fn nobody_gives_a_place_to_a_network_that_would_then_have_more() {
    for (one, other) in [
        ("192.0.2.1", "198.51.100.1"),
        ("192.0.2.1", "192.0.3.1"),
        ("192.0.2.1", "192.0.2.2"),
    ] {
        let (one, other) = (networks_of(one), networks_of(other));
        let mut queue = FairQueue::new(3);
        for (n, from) in [one, one, other].into_iter().enumerate() {
            assert_eq!(queue.put(from, n), Put::Queued);
        }
        // Two and one of three: another place would go back and forth.
        assert_eq!(queue.put(other, 3), Put::Full(3));
        assert_eq!(queue.put(one, 4), Put::Full(4));
    }
}

proptest! {
    /// Origins by number: a few networks with a few customers each.
    #[test]
    fn no_entry_is_lost_or_doubled_and_the_bound_is_kept(
        steps in vec((0..4_u8, 0..4_u8, any::<bool>()), 0..300),
    ) {
        let mut queue = FairQueue::new(16);
        let (mut inside, mut next) = (std::collections::BTreeSet::new(), 0);
        for (network, customer, takes) in steps {
            if takes {
                let taken = queue.take();
                prop_assert_eq!(taken.is_none(), inside.is_empty());
                prop_assert!(taken.is_none_or(|taken| inside.remove(&taken)));
            } else {
                next += 1;
                let from = Networks::of(IpAddr::from([192, 0, network, customer]));
                match queue.put(from, next) {
                    Put::Queued => prop_assert!(inside.insert(next)),
                    Put::InPlaceOf(displaced) => {
                        prop_assert!(inside.remove(&displaced));
                        prop_assert!(inside.insert(next));
                    }
                    Put::Full(refused) => prop_assert_eq!(refused, next),
                }
            }
            prop_assert_eq!(queue.len(), inside.len());
            prop_assert!(queue.len() <= 16);
        }
    }

    #[test]
    fn one_entry_of_a_new_network_waits_for_one_of_each_other_at_most(
        others in vec((1..8_u8, any::<u8>()), 0..100),
    ) {
        let mut queue = FairQueue::new(64);
        for (network, customer) in &others {
            queue.put(Networks::of(IpAddr::from([192, *network, 0, *customer])), false);
        }
        let networks = others.iter().map(|(network, _)| network).collect::<std::collections::BTreeSet<_>>().len();
        prop_assert!(!matches!(queue.put(networks_of("198.51.100.1"), true), Put::Full(_)));
        let before = std::iter::from_fn(|| queue.take()).take_while(|is_new| !is_new).count();
        prop_assert!(before <= networks, "{} of {}", before, networks);
    }

    #[test]
    fn who_has_sent_more_waits_for_as_many_of_each_other_network_as_of_its_own(
        others in vec((1..8_u8, any::<u8>()), 0..100),
        own in 1..20_usize,
    ) {
        let mut queue = FairQueue::new(256);
        for (network, customer) in &others {
            queue.put(Networks::of(IpAddr::from([192, *network, 0, *customer])), None);
        }
        let networks = others.iter().map(|(network, _)| network).collect::<std::collections::BTreeSet<_>>().len();
        for position in 1..=own {
            queue.put(networks_of("198.51.100.1"), Some(position));
        }
        let mut before = 0;
        while let Some(taken) = queue.take() {
            match taken {
                None => before += 1,
                Some(position) => prop_assert!(before <= networks * position, "{} of {}", before, networks),
            }
        }
        // Every other entry was taken, too.
        prop_assert_eq!(before, others.len());
    }
}
