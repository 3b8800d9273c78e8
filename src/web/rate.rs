//! How often one origin may try to sign in (OWASP ASVS 6.3.1).
//!
//! An origin is an IPv4 address or the /64 of an IPv6 address, which is what one customer gets. Each instance counts for itself.

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::num::NonZeroU32;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::client;
use super::problem::Problem;
use crate::auth::audit;
use crate::sessions::network_of;

/// Origins remembered before those that have been quiet for a minute are forgotten.
const CROWD: usize = 50_000;

/// The counters. All of an instance's workers share one.
pub(super) struct LoginRates {
    limiter: RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>,
    clock: DefaultClock,
}

impl LoginRates {
    /// Allows so many a minute: all of them at once, and then one whenever its share of the minute has passed.
    pub(super) fn new(per_minute: NonZeroU32) -> Self {
        Self {
            limiter: RateLimiter::hashmap(Quota::per_minute(per_minute)),
            clock: DefaultClock::default(),
        }
    }

    /// Counts one, or says after how many seconds the next may come.
    fn count(&self, address: IpAddr) -> Result<(), u64> {
        if self.limiter.len() > CROWD {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(&network_of(address)).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            wait.as_secs() + 1
        })
    }
}

/// The caller's origin has not tried too often. Asked before anything is read or hashed.
pub struct WithinLoginRate(());

impl FromRequest for WithinLoginRate {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let origin = client::origin(request);
        let counted = match request.app_data::<web::Data<LoginRates>>() {
            Some(rates) => rates.count(origin.address()),
            // No limit is configured.
            None => Ok(()),
        };
        ready(counted.map(|()| Self(())).map_err(|seconds| {
            audit::too_many_sign_ins(&origin);
            Problem::too_many_requests(seconds)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rates: &LoginRates, address: &str) -> bool {
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
    fn a_network_of_64_bits_is_one_origin_and_a_mapped_address_is_itself() {
        let rates = LoginRates::new(NonZeroU32::new(1).unwrap());
        assert!(counts(&rates, "2001:db8:0:1::1"));
        assert!(!counts(&rates, "2001:db8:0:1:ffff::2"));
        assert!(counts(&rates, "2001:db8:0:2::1"));
        assert!(counts(&rates, "::ffff:192.0.2.1"));
        assert!(!counts(&rates, "192.0.2.1"));
    }

    #[test]
    fn a_crowd_of_origins_is_forgotten_when_it_has_been_quiet() {
        let rates = LoginRates::new(NonZeroU32::new(60_000).unwrap());
        for n in 0..=CROWD as u32 + 1 {
            assert!(rates.count(IpAddr::V4(n.into())).is_ok());
        }
        // A share comes back within a millisecond, so nearly all are quiet already.
        assert!(rates.limiter.len() < CROWD, "{}", rates.limiter.len());
    }
}
