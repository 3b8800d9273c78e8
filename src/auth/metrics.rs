//! The metrics of the running program, named by Prometheus' conventions. Counting costs almost nothing until
//! [`start`] is called: like log lines without a logger, the counts go nowhere.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::audit::Event;
use super::lists::Search;
use super::{Auth, Error};
use crate::mail::Kind;
use crate::sessions::feed::LEASES_LOST;

/// Sessions ended, by `reason`. Each end is counted at one instance only.
pub(super) const ENDED: &str = "oneseat_sessions_ended_total";
/// Sign-ins, by `outcome`.
pub(super) const SIGN_INS: &str = "oneseat_sign_ins_total";
/// Mails, by `kind` and `outcome`.
pub(super) const MAILS: &str = "oneseat_mails_total";
/// The `outcome` of a mail that will be tried again. Others are those of events.
pub(super) const POSTPONED: &str = "postponed";
/// Sweeps that this instance finished.
pub(super) const SWEEPS: &str = "oneseat_sweeps_total";
/// Rows that sweeps removed.
pub(super) const SWEPT_ROWS: &str = "oneseat_swept_rows_total";
/// Tokens in one batch.
pub(super) const BATCH_SIZE: &str = "oneseat_validation_batch_size";
/// Time that PostgreSQL took for one batch.
pub(super) const BATCH_SECONDS: &str = "oneseat_validation_batch_seconds";
/// Validations, by `source`: memory or database.
const VALIDATIONS: &str = "oneseat_validations_total";
/// Time that an end waited until no instance could answer from an older memory.
pub(super) const END_WAIT_SECONDS: &str = "oneseat_end_wait_seconds";
/// Time since this instance last asked the feed.
const FEED_AGE: &str = "oneseat_feed_age_seconds";
/// Requests, by `route`, `method` and `status`.
pub const REQUESTS: &str = "oneseat_http_requests_total";
/// Time of requests, by `route`.
pub const REQUEST_SECONDS: &str = "oneseat_http_request_seconds";
/// Connections refused because their network had too many.
pub(super) const CONNECTIONS_REFUSED: &str = "oneseat_connections_refused_total";
/// TLS handshakes that failed or took too long.
pub const HANDSHAKES_FAILED: &str = "oneseat_tls_handshakes_failed_total";

const VALIDATION_QUEUE: &str = "oneseat_validation_queue_depth";
const HASHING_QUEUE: &str = "oneseat_hashing_queue_depth";
const LIVE: &str = "oneseat_live_sessions";
const CONNECTIONS: &str = "oneseat_db_connections";
const IDLE_CONNECTIONS: &str = "oneseat_db_connections_idle";
const WATCHERS: &str = "oneseat_event_streams";

const SECONDS: [f64; 11] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0,
];
const SIZES: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// Starts the recorder, once for this process.
///
/// # Errors
/// When the program has another recorder already.
pub fn start() -> Result<PrometheusHandle, BuildError> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full(BATCH_SIZE.to_owned()), &SIZES)?
        .install_recorder()?;
    describe();
    start_counting();
    Ok(HANDLE.get_or_init(|| handle).clone())
}

fn describe() {
    describe_counter!(REQUESTS, "HTTP requests");
    describe_histogram!(REQUEST_SECONDS, Unit::Seconds, "Time of HTTP requests");
    describe_counter!(VALIDATIONS, "Tokens that were checked");
    describe_counter!(LEASES_LOST, "Leases that ran out while tokens were checked");
    describe_gauge!(FEED_AGE, Unit::Seconds, "Time since the feed was read");
    describe_histogram!(END_WAIT_SECONDS, Unit::Seconds, "Time that ends waited");
    describe_histogram!(BATCH_SIZE, "Tokens that one statement answered");
    describe_histogram!(BATCH_SECONDS, Unit::Seconds, "Time of that statement");
    describe_gauge!(VALIDATION_QUEUE, "Requests whose token waits to be checked");
    describe_gauge!(HASHING_QUEUE, "Passwords that wait to be checked or hashed");
    describe_gauge!(LIVE, "Sessions that are live, at all instances together");
    describe_gauge!(WATCHERS, "Open event streams");
    describe_gauge!(CONNECTIONS, "Connections to PostgreSQL");
    describe_gauge!(IDLE_CONNECTIONS, "Connections to PostgreSQL that nobody uses");
    describe_counter!(SIGN_INS, "Tries to sign in");
    describe_counter!(ENDED, "Sessions that ended");
    describe_counter!(MAILS, "Mails that were due");
    describe_counter!(CONNECTIONS_REFUSED, "Connections beyond those of a network");
    describe_counter!(HANDSHAKES_FAILED, "TLS handshakes that failed or took too long");
    describe_counter!(SWEEPS, "Sweeps");
    describe_counter!(SWEPT_ROWS, "Rows that sweeps removed");
}

/// Creates at 0 every counter whose labels are known in advance, so that an alarm for an increase also sees
/// the first event. The labels of requests are not known: a route may answer with many statuses.
fn start_counting() {
    Event::start_counting();
    for kind in Kind::ALL {
        counter!(MAILS, "kind" => kind.as_str(), "outcome" => POSTPONED).increment(0);
    }
    for source in ["memory", "database"] {
        counter!(VALIDATIONS, "source" => source).increment(0);
    }
    for name in [LEASES_LOST, HANDSHAKES_FAILED, SWEEPS, SWEPT_ROWS] {
        counter!(name).increment(0);
    }
}

impl Auth {
    /// Sets the gauges to their current values.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: the number of live sessions is unknown; all other gauges are set.
    pub async fn measure(&self) -> Result<(), Error> {
        let number = |count: usize| u32::try_from(count).map_or(f64::MAX, f64::from);
        gauge!(VALIDATION_QUEUE).set(number(self.validator.waiting()));
        gauge!(HASHING_QUEUE).set(number(self.hasher.waiting()));
        gauge!(WATCHERS).set(number(self.watchers.count()));
        let answered = &self.validator.answered;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        counter!(VALIDATIONS, "source" => "memory").absolute(of(&answered.from_memory));
        counter!(VALIDATIONS, "source" => "database").absolute(of(&answered.by_database));
        gauge!(FEED_AGE).set(self.feed.age().map_or(f64::NAN, |age| age.as_secs_f64()));
        let pool = self.db.connections();
        gauge!(CONNECTIONS).set(pool.all);
        gauge!(IDLE_CONNECTIONS).set(pool.idle);
        // If the count fails, the gauge must not keep an old value.
        gauge!(LIVE).set(f64::NAN);
        let live = self.count_live_sessions(Search::All).await?;
        gauge!(LIVE).set(u32::try_from(live).map_or(f64::MAX, f64::from));
        Ok(())
    }
}
