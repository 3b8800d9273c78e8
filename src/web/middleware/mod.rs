//! What wraps every request.

pub(super) mod cross_origin;
pub(super) mod metrics;
pub(super) mod panics;
pub(super) mod request_id;
pub(super) mod security_headers;
