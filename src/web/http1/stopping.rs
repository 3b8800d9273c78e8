//! Whether this server has been told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the server has been told to stop. Load balancers learn it from `GET /readyz`.
#[derive(Clone, Default)]
pub(in crate::web) struct Stopping(Arc<AtomicBool>);

impl Stopping {
    pub(in crate::web) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(in crate::web) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
