//! Each request has an id: in the log, in the `X-Request-Id` header of its answer, and in its problem.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;

use crate::network::Share;
use crate::request_id::RequestId;
use crate::web::extract::client;

pub(in crate::web) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Takes the id from a trusted proxy or makes one, and sends it with the answer. Work for the request counts
/// for the share of the client's network.
pub(in crate::web) async fn name<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let id = given(&request).unwrap_or_default();
    let share = Share::of(client::address(request.request()));
    let mut answer = share.scope(id.clone().scope(next.call(request))).await?;
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        answer.headers_mut().insert(X_REQUEST_ID, value);
    }
    Ok(answer)
}

fn given(request: &ServiceRequest) -> Option<RequestId> {
    let mut names = request.headers().get_all(X_REQUEST_ID);
    let name = names.next()?;
    // There is a second one: the proxy has added its own to the client's, and nobody knows which is which.
    if names.next().is_some() {
        return None;
    }
    client::is_from_a_trusted_proxy(request.request()).then(|| RequestId::given(name.as_bytes()))?
}
