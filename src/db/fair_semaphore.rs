//! The permits of the pool: one per connection, shared fairly among the origins of waiting requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::fair_queue::{FairQueue, Put};
use crate::network::Networks;

/// The most requests that may wait: some seconds of work.
const QUEUE: usize = 1_024;

/// The permits. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct FairSemaphore(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free: usize,
    waiting: FairQueue<oneshot::Sender<Permit>>,
}

/// One permit. Dropping it gives it to the next request.
#[derive(Debug)]
pub(super) struct Permit(Option<FairSemaphore>);

/// Too many requests wait.
#[derive(Debug)]
pub(super) struct Full;

impl FairSemaphore {
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: count,
            waiting: FairQueue::new(QUEUE),
        })))
    }

    /// Waits for a permit, behind requests of the same origin; origins take turns.
    ///
    /// # Errors
    /// [`Full`], also later, when an origin with fewer waiting requests needs the place.
    pub(super) async fn acquire(&self, networks: Networks) -> Result<Permit, Full> {
        let permit = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return Ok(Permit(Some(self.clone())));
            }
            let (give, permit) = oneshot::channel();
            match state.waiting.put(networks, give) {
                Put::Queued | Put::InPlaceOf(_) => permit,
                Put::Full(_) => return Err(Full),
            }
        };
        permit.await.map_err(|_| Full)
    }

    /// Gives a permit to the next request that still waits.
    fn release(&self) {
        while let Some(next) = self.next() {
            match next.send(Permit(Some(self.clone()))) {
                Ok(()) => return,
                // The request has gone; the permit goes to the next.
                Err(mut permit) => permit.0 = None,
            }
        }
    }

    /// The next request; without one the permit is free.
    fn next(&self) -> Option<oneshot::Sender<Permit>> {
        let mut state = self.state();
        let next = state.waiting.take();
        state.free += usize::from(next.is_none());
        next
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(permits) = self.0.take() {
            permits.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn networks_of(address: &str) -> Networks {
        Networks::of(address.parse().unwrap())
    }

    #[tokio::test]
    async fn a_turn_goes_to_the_network_that_has_waited_in_turn_and_not_to_who_has_gone() {
        let permits = FairSemaphore::new(1);
        let first = permits.acquire(networks_of("192.0.2.1")).await.unwrap();
        let mut of_many: Vec<_> = (0..3)
            .map(|_| Box::pin(permits.acquire(networks_of("192.0.2.1"))))
            .collect();
        for waiting in &mut of_many {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        let mut other = Box::pin(permits.acquire(networks_of("198.51.100.1")));
        assert!(other.as_mut().now_or_never().is_none());
        // The first of many has gone, and with it its network's turn: the other is next.
        drop(of_many.remove(0));
        drop(first);
        let others = other.as_mut().now_or_never().unwrap().unwrap();
        assert!(of_many[0].as_mut().now_or_never().is_none());
        drop(others);
        drop(of_many[0].as_mut().now_or_never().unwrap().unwrap());
        drop(of_many[1].as_mut().now_or_never().unwrap().unwrap());
        // Nobody waits: it is free.
        assert!(
            permits
                .acquire(networks_of("203.0.113.1"))
                .now_or_never()
                .is_some()
        );
    }

    #[tokio::test]
    async fn whose_place_is_needed_by_another_origin_is_told_at_once() {
        let permits = FairSemaphore::new(1);
        let _first = permits.acquire(Networks::OWN).await.unwrap();
        let mut many: Vec<_> = (0..QUEUE)
            .map(|_| Box::pin(permits.acquire(networks_of("192.0.2.1"))))
            .collect();
        for waiting in &mut many {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        assert!(
            permits
                .acquire(networks_of("192.0.2.1"))
                .now_or_never()
                .is_some_and(|turn| turn.is_err())
        );
        let mut other = Box::pin(permits.acquire(networks_of("198.51.100.1")));
        assert!(other.as_mut().now_or_never().is_none());
        let last = many.last_mut().unwrap();
        assert!(last.as_mut().now_or_never().is_some_and(|turn| turn.is_err()));
    }
}
