//! The middleware that every request passes.

pub(super) mod cross_origin;
pub(super) mod metrics;
pub(super) mod panics;
pub(super) mod security_headers;
