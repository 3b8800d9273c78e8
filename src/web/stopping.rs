//! Whether this server has been told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the server has been told to stop. Load balancers learn it from `GET /readyz`.
#[derive(Clone, Default)]
pub struct Stopping(Arc<AtomicBool>);

impl Stopping {
    /// From now on `GET /readyz` answers that the server stops.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(in crate::web) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
