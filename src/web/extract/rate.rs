//! How often one origin may try to sign in (OWASP ASVS 6.3.1).
//!
//! An origin is an IPv4 address or an IPv6 /64, which is the least that one customer gets. Its wider networks
//! count, too, each with a larger allowance: one customer may have 65,536 networks of /64. Each instance
//! counts for itself.

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use governor::clock::{Clock, DefaultClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota, RateLimiter};

use crate::auth::audit;
use crate::network::prefix;
use crate::web::extract::client;
use crate::web::extract::proxy_check;
use crate::web::problem::Problem;

/// Above this many origins, those that have been quiet for a minute are forgotten.
const CROWD: usize = 50_000;

/// Most origins remembered, in some ten megabytes. All further origins share one count.
const MOST: usize = 200_000;

/// The networks that count, from the narrowest: bits of IPv4, bits of IPv6, and how many times the rate each
/// may have. A customer of IPv6 has a /56 or a /48; behind a /24 of IPv4 there may be an office, a school, or
/// several of a provider's customers.
const NETWORKS: [(u32, u32, u32); 3] = [(32, 64, 1), (32, 56, 4), (24, 48, 16)];

/// Least time between two passes over all origins. Otherwise each sign-in would cost such a pass.
const BETWEEN_TWO_LOOKS: Duration = Duration::from_secs(1);

/// The counters, shared by all workers of an instance.
pub(in crate::web) struct LoginRates<C: Clock = DefaultClock> {
    networks: [WidthCounter<C>; NETWORKS.len()],
}

/// The counters of all networks of one width.
struct WidthCounter<C: Clock> {
    v4_bits: u32,
    v6_bits: u32,
    limiter: RateLimiter<IpAddr, Counts, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    looked_through: Mutex<C::Instant>,
}

impl LoginRates {
    /// Allows this many a minute: all of them at once, then one whenever its share of the minute has passed.
    pub(in crate::web) fn new(per_minute: NonZeroU32) -> Self {
        Self::by(DefaultClock::default(), per_minute)
    }
}

impl<C: Clock + Clone> LoginRates<C> {
    fn by(clock: C, per_minute: NonZeroU32) -> Self {
        Self {
            networks: NETWORKS.map(|(v4_bits, v6_bits, times)| {
                let times = NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN);
                let quota = Quota::per_minute(per_minute.saturating_mul(times));
                WidthCounter {
                    v4_bits,
                    v6_bits,
                    limiter: RateLimiter::new(quota, Counts::default(), clock.clone()),
                    looked_through: Mutex::new(clock.now()),
                    clock: clock.clone(),
                }
            }),
        }
    }

    /// Counts one try, or returns after how many seconds the next may come. A try that is refused to a narrow
    /// network does not count for the wider one, so that its neighbours do not pay for it.
    fn count(&self, address: IpAddr) -> Result<(), u64> {
        self.networks
            .iter()
            .try_for_each(|networks| networks.count(address))
    }
}

impl<C: Clock + Clone> WidthCounter<C> {
    fn count(&self, address: IpAddr) -> Result<(), u64> {
        if self.limiter.len() > CROWD && self.is_time_to_look() {
            self.limiter.retain_recent();
        }
        let network = prefix(address, self.v4_bits, self.v6_bits);
        self.limiter.check_key(&network).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            wait.as_secs() + 1
        })
    }

    fn is_time_to_look(&self) -> bool {
        let now = self.clock.now();
        let mut last = self.looked_through.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = now.duration_since(*last) >= Nanos::from(BETWEEN_TWO_LOOKS);
        if is_time {
            *last = now;
        }
        is_time
    }
}

/// What the limiter remembers of each origin.
#[derive(Default)]
struct Counts(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    origins: HashMap<IpAddr, Nanos>,
    /// The shared count of all origins that came when there was no more room.
    others: Option<Nanos>,
}

impl Counts {
    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for Counts {
    type Key = IpAddr;

    fn measure_and_replace<T, F, E>(&self, origin: &IpAddr, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let Remembered { origins, others } = &mut *self.remembered();
        let has_room = origins.len() < MOST;
        match origins.get_mut(origin) {
            Some(count) => {
                let (answer, next) = measure(Some(*count))?;
                *count = next;
                Ok(answer)
            }
            None if has_room => {
                let (answer, next) = measure(None)?;
                origins.insert(*origin, next);
                Ok(answer)
            }
            None => {
                let (answer, next) = measure(*others)?;
                *others = Some(next);
                Ok(answer)
            }
        }
    }
}

impl ShrinkableKeyedStateStore<IpAddr> for Counts {
    fn retain_recent(&self, drop_below: Nanos) {
        self.remembered().origins.retain(|_, count| *count > drop_below);
    }

    fn len(&self) -> usize {
        self.remembered().origins.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The caller's origin has not tried too often. This is checked before anything is read or hashed.
pub struct WithinLoginRate(());

impl FromRequest for WithinLoginRate {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        proxy_check::look(request);
        let origin = client::origin(request);
        let counted = match request.app_data::<web::Data<LoginRates>>() {
            Some(rates) => rates.count(origin.address()),
            // No limit is configured.
            None => Ok(()),
        };
        ready(counted.map(|()| Self(())).map_err(|seconds| {
            let what = request.match_pattern().unwrap_or_default();
            audit::too_many_tries(&what, &origin);
            Problem::too_many_requests(seconds)
        }))
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn counts<C: Clock + Clone>(rates: &LoginRates<C>, address: &str) -> bool {
        rates.count(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn each_origin_has_its_own_share() {
        let rates = LoginRates::new(NonZeroU32::new(2).unwrap());
        assert!(counts(&rates, "192.0.2.1") && counts(&rates, "192.0.2.1"));
        let wait = rates.count("192.0.2.1".parse().unwrap()).unwrap_err();
        assert!((1..=31).contains(&wait), "{wait}");
        assert!(counts(&rates, "192.0.2.2"));
    }

    #[test]
    fn the_next_try_may_come_after_as_many_seconds_as_were_told_and_no_earlier() {
        let clock = FakeRelativeClock::default();
        let rates = LoginRates::by(clock.clone(), NonZeroU32::new(2).unwrap());
        assert!(counts(&rates, "192.0.2.1") && counts(&rates, "192.0.2.1"));
        clock.advance(Duration::from_millis(500));
        let wait = rates.count("192.0.2.1".parse().unwrap()).unwrap_err();
        assert_eq!(wait, 30, "29.5, rounded up");
        clock.advance(Duration::from_secs(wait - 1));
        assert_eq!(rates.count("192.0.2.1".parse().unwrap()), Err(1));
        clock.advance(Duration::from_secs(1));
        assert!(counts(&rates, "192.0.2.1"));
    }

    #[test]
    fn a_network_of_64_bits_is_one_origin_and_a_mapped_address_is_itself() {
        let rates = LoginRates::new(NonZeroU32::new(1).unwrap());
        assert!(counts(&rates, "2001:db8:0:1::1"));
        assert!(!counts(&rates, "2001:db8:0:1:ffff::2"));
        assert!(counts(&rates, "2001:db8:0:2::1"));
        assert!(counts(&rates, "::ffff:192.0.2.1"));
        assert!(!counts(&rates, "192.0.2.1"));
    }

    #[test]
    fn wider_networks_count_too_with_more_room() {
        let rates = LoginRates::new(NonZeroU32::new(2).unwrap());
        // A /56 has four times as much as each of its /64s, a /48 sixteen times.
        let within_56 = (0..20).filter(|n| counts(&rates, &format!("2001:db8:0:{n:x}::1")));
        assert_eq!(within_56.count(), 8);
        let within_48 = (1..100).filter(|n| counts(&rates, &format!("2001:db8:0:{n:x}00::1")));
        assert_eq!(within_48.count(), 32 - 8);
        assert!(counts(&rates, "2001:db8:1::1"));
        let within_24 = (0..100).filter(|n| counts(&rates, &format!("192.0.2.{n}")));
        assert_eq!(within_24.count(), 32);
        assert!(counts(&rates, "192.0.3.1"));
    }

    #[test]
    fn what_a_network_is_refused_is_not_taken_from_its_neighbours() {
        let rates = LoginRates::new(NonZeroU32::new(2).unwrap());
        assert_eq!((0..100).filter(|_| counts(&rates, "2001:db8:0:1::1")).count(), 2);
        assert_eq!((0..100).filter(|_| counts(&rates, "2001:db8:0:2::1")).count(), 2);
    }

    /// Rates with a clock that stands still, after this many origins have come once.
    fn crowded(per_minute: u32, origins: usize) -> (LoginRates<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let rates = LoginRates::by(clock.clone(), NonZeroU32::new(per_minute).unwrap());
        for n in 0..origins as u32 {
            // Each in a wider network of its own.
            assert!(rates.count(IpAddr::V4((n << 8).into())).is_ok());
        }
        (rates, clock)
    }

    #[test]
    fn a_crowd_of_origins_is_looked_through_once_a_second_and_forgotten_when_it_has_been_quiet() {
        // A share comes back within half a second.
        let (rates, clock) = crowded(120, CROWD + 1);
        clock.advance(Duration::from_millis(999));
        assert!(counts(&rates, "2001:db8::1"));
        assert_eq!(rates.networks[0].limiter.len(), CROWD + 2);
        clock.advance(Duration::from_millis(1));
        assert!(counts(&rates, "2001:db8:0:1::1"));
        // Only the two that came last are left.
        assert_eq!(rates.networks[0].limiter.len(), 2);
    }

    #[test]
    fn beyond_the_most_that_are_remembered_newcomers_share_one_count_and_the_others_keep_theirs() {
        let (rates, clock) = crowded(2, MOST);
        assert!(counts(&rates, "2001:db8:0:1::1") && counts(&rates, "2001:db8:0:2::1"));
        assert!(!counts(&rates, "2001:db8:0:3::1"));
        assert_eq!(rates.networks[0].limiter.len(), MOST);
        // An origin that came early has its second try, and no third.
        assert!(counts(&rates, "0.0.7.0") && !counts(&rates, "0.0.7.0"));
        // A minute later there is room again.
        clock.advance(Duration::from_secs(61));
        assert!(counts(&rates, "2001:db8:0:3::1") && counts(&rates, "2001:db8:0:3::1"));
        assert!(!counts(&rates, "2001:db8:0:3::1"));
    }
}
