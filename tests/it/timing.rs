//! What the time of an answer reveals. It takes minutes on an otherwise quiet machine: `script/soak` runs it.

use std::time::{Duration, Instant};

use oneseat::users::Role;
use serde_json::json;

use crate::support::{App, Client};

/// Samples of each kind of sign-in.
const SAMPLES: usize = 300;

/// The largest difference of the medians that is allowed.
const TOLERANCE: f64 = 0.05;

/// One sign-in that is refused with this status, and how long that took.
async fn refusal(visitor: &Client, email: &str, password: &str, status: u16) -> Duration {
    let began = Instant::now();
    let answer = visitor
        .post("/auth/login", &json!({ "email": email, "password": password }))
        .await;
    let took = began.elapsed();
    assert_eq!(answer.status, status, "{answer:?}");
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test]
#[ignore = "measures for a minute, and wants the machine for itself: script/soak"]
async fn an_unknown_address_takes_the_time_of_a_wrong_password() {
    let app = App::start_with(|config| config.policy.lockout.max_failed_attempts = i32::MAX).await;
    app.add_user("ada", Role::User).await;
    let visitor = app.visitor();
    let too_long = "x".repeat(1_025);
    for (kind, password, status) in [
        ("wrong", "not the password", 401),
        ("too long", too_long.as_str(), 400),
    ] {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for round in 0..SAMPLES + 20 {
            // The kinds take turns, and each is first equally often, so that other work on the machine
            // affects both.
            let mut of_both = [Duration::ZERO; 2];
            for n in [round % 2, 1 - round % 2] {
                let email = ["ada@example.org", "eva@example.org"][n];
                of_both[n] = refusal(&visitor, email, password, status).await;
            }
            // The first ones open connections and fill caches.
            if round >= 20 {
                known.push(of_both[0]);
                unknown.push(of_both[1]);
            }
        }
        let (known, unknown) = (median(known), median(unknown));
        println!("a password that is {kind}: {known:?} for a known address, {unknown:?} for an unknown one");
        let apart = (known.as_secs_f64() / unknown.as_secs_f64() - 1.0).abs();
        assert!(apart < TOLERANCE, "{kind}: {known:?} {unknown:?}");
    }
}
