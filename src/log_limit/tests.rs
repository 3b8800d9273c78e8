//! Tests that a storm is a few lines, and that its sums are right.

use chrono::TimeDelta;

use super::shares::Shares;
use super::*;

type Limit = LogLimit<&'static str, String>;

fn limit() -> Limit {
    LogLimit::default()
}

fn second(n: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(n)
}

fn network(n: u32) -> Option<IpAddr> {
    Some(IpAddr::V4(n.into()))
}

fn is_written(limit: &Limit, from: u32, subject: &str, at: i64) -> bool {
    limit.count("kind", network(from), subject.to_owned(), second(at)) == Verdict::Write
}

#[test]
fn the_first_are_written_and_the_rest_is_one_sum_a_period() {
    let limit = limit();
    let written = (0..1_000).filter(|n| is_written(&limit, 7, "a", *n)).count();
    assert_eq!(written, 5);
    let about = About::One {
        network: network(7),
        subject: "a".to_owned(),
    };
    let sum = Sum {
        kind: "kind",
        count: 995,
        first: second(5),
        last: second(999),
        about,
    };
    assert_eq!(limit.sums(), [sum]);
    // A new period: the first lines are written again, and no sum is repeated.
    assert!(is_written(&limit, 7, "a", 1_000));
    assert_eq!(limit.sums(), []);
}

#[test]
fn a_new_subject_has_a_line_although_its_network_has_had_its_share() {
    let limit = limit();
    for n in 0..100 {
        is_written(&limit, 7, "a", n);
    }
    assert!(is_written(&limit, 7, "b", 100));
    assert!(!is_written(&limit, 7, "b", 101));
    // Another network has its own share, and so has another kind.
    assert!(is_written(&limit, 8, "a", 102));
    assert_eq!(
        limit.count("other", network(7), "a".to_owned(), second(103)),
        Verdict::Write
    );
    let subjects = (0..100).filter(|n| is_written(&limit, 7, &format!("new {n}"), 104));
    assert_eq!(subjects.count(), 19);
    let told: Vec<(u64, About<String>)> = limit
        .sums()
        .into_iter()
        .map(|sum| (sum.count, sum.about))
        .collect();
    let one = |subject: &str| About::One {
        network: network(7),
        subject: subject.to_owned(),
    };
    assert!(
        told.contains(&(95, one("a"))) && told.contains(&(1, one("b"))),
        "{told:#?}"
    );
    assert_eq!(told.iter().map(|(count, _)| count).sum::<u64>(), 95 + 1 + 81);
}

#[test]
fn origins_without_number_defeat_neither_the_bound_nor_the_count() {
    const EACH: u32 = 3;
    let limit = limit();
    let mut written = 0_u64;
    for round in 0..EACH {
        for n in 0..20_000 {
            written += u64::from(is_written(&limit, n, "a", i64::from(round)));
        }
    }
    assert_eq!(written, 300);
    let sums = limit.sums();
    assert_eq!(sums.len(), 51);
    let counted: u64 = sums.iter().map(|sum| sum.count).sum();
    assert_eq!(written + counted, u64::from(EACH) * 20_000);
    let many = sums.iter().find_map(|sum| match &sum.about {
        About::Many { distinct, unwritten } => Some((distinct.to_string(), unwritten.to_string())),
        About::One { .. } => None,
    });
    // 950 separate pairs, and more others than the hashes distinguish, all without a line.
    assert_eq!(many, Some(("10950+".to_owned(), "10950+".to_owned())));
}

#[test]
fn those_without_a_line_are_counted_once_each() {
    let limit = limit();
    for _ in 0..2 {
        for n in 0..1_500 {
            is_written(&limit, 7, &n.to_string(), 0);
        }
    }
    let sums = limit.sums();
    let many = sums.iter().find_map(|sum| match &sum.about {
        About::Many { distinct, unwritten } => Some((distinct.to_string(), unwritten.to_string())),
        About::One { .. } => None,
    });
    // 50 have their own sums, and 25 others had a line: five, and twenty as new subjects.
    assert_eq!(many, Some(("1450".to_owned(), "1425".to_owned())));
    let counted: u64 = sums.iter().map(|sum| sum.count).sum();
    assert_eq!(counted, 3_000 - 25);
}

#[test]
fn an_address_gets_a_third_of_what_it_finds_and_a_site_half() {
    for address in ["192.0.2.7", "2001:db8:1:2::"] {
        let address = Some(address.parse().unwrap());
        let mut shares = Shares::of(300);
        let taken = (0..300).filter(|_| shares.take(address));
        assert_eq!(taken.count(), 100);
        assert_eq!(shares.taken_by(address), 100);
    }
    let sites: [fn(u8) -> IpAddr; 2] = [
        |n| [192, 0, 2, n].into(),
        |n| [0x2001, 0xdb8, 1, n.into(), 0, 0, 0, 0].into(),
    ];
    for address in sites {
        let mut shares = Shares::of(300);
        let taken = (0..=u8::MAX).filter(|n| shares.take(Some(address(*n))));
        assert_eq!(taken.count(), 150);
    }
}

/// A flood from one network: more subjects than there is room for, each several times.
fn flood(limit: &Limit, address: impl Fn(u32) -> IpAddr) {
    for _ in 0..3 {
        for n in 0..2_000 {
            limit.count("kind", Some(address(n)), format!("made up {n}"), second(0));
        }
    }
}

#[test]
fn a_network_with_subjects_without_number_switches_off_no_line_and_no_sum_of_another() {
    let many_addresses = |n: u32| IpAddr::from([0x2001, 0xdb8, 0, n as u16, 0, 0, 0, 0]);
    let one_address = |_: u32| IpAddr::from([192, 0, 2, 7]);
    for flooding in [&one_address as &dyn Fn(u32) -> IpAddr, &many_addresses] {
        let limit = limit();
        flood(&limit, flooding);
        let other = network(8);
        let count = |subject: &str| limit.count("kind", other, subject.to_owned(), second(1));
        let written = (0..50).filter(|_| count("a real service") == Verdict::Write);
        assert_eq!(written.count(), 5);
        let named = (0..100).filter(|n| count(&format!("service {n}")) == Verdict::Write);
        assert_eq!(named.count(), 20);
        // This one comes once, less often than any of the flood.
        assert_eq!(count("the last service"), Verdict::Counted);

        let sums = limit.sums();
        let of = |subject: &str| {
            let about = About::One {
                network: other,
                subject: subject.to_owned(),
            };
            sums.iter().find(|sum| sum.about == about).map(|sum| sum.count)
        };
        assert_eq!(of("a real service"), Some(45));
        let quiet = sums
            .iter()
            .filter(|sum| matches!(&sum.about, About::One { network, .. } if *network == other));
        assert!(quiet.count() > 10, "{sums:#?}");
        assert!(sums.len() <= 51);
    }
}

#[test]
fn several_networks_with_subjects_without_number_leave_lines_for_one_more() {
    let limit = limit();
    for n in 0..10 {
        flood(&limit, |_| IpAddr::from([198, 51, n, 1]));
    }
    assert!((0..5).all(|n| is_written(&limit, 7, "a", n)));
}
