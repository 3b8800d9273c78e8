//! The routes, and what is done for every request. It waits for its turn on the connection, and gets an id and
//! its networks' share of the work. Its answer gets its headers, and is counted.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Instant;

use actix_http::{HttpMessage, Request, Response};
use actix_service::{Service, ServiceFactory, boxed, fn_factory, fn_service, map_config};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::http::header::{HeaderValue, USER_AGENT};
use actix_web::middleware::Condition;
use actix_web::{App, HttpRequest, HttpResponse, web};
use tokio::sync::OnceCell;

use super::exchanges::Turn;
use super::expectation;
use super::sliced::sliced;
use super::supervisor::Presence;
use crate::config::ServeConfig;
use crate::network::Networks;
use crate::web::extract::client::{self, TrustedProxies, X_REQUEST_ID};
use crate::web::middleware::cross_origin;
use crate::web::middleware::metrics::Counts;
use crate::web::middleware::security_headers::SecurityHeaders;
use crate::web::{pages, problem};

/// Takes a request that expects to be asked for its body. Returns it once its body is read, or fails with the answer.
pub(super) type Expectation = boxed::BoxServiceFactory<(), Request, Request, Response<BoxBody>, ()>;

/// What one thread needs for each of its requests.
struct Surroundings {
    presence: Presence,
    proxies: TrustedProxies,
    headers: SecurityHeaders,
    counts: Option<Counts>,
}

/// The application of one thread, with these routes; and what it does first with a request that expects to be asked for
/// its body.
pub(super) fn application(
    config: &ServeConfig,
    proxies: &TrustedProxies,
    presence: Presence,
    routes: &dyn Fn(&mut web::ServiceConfig),
) -> (
    impl ServiceFactory<
        Request,
        Config = (),
        Response = Response<BoxBody>,
        Error = Infallible,
        InitError = (),
        Future: 'static,
        Service: Service<Request, Response = Response<BoxBody>, Error = Infallible, Future: 'static>
                     + 'static,
    > + use<>
    + 'static,
    Expectation,
) {
    let surroundings = Rc::new(Surroundings {
        presence,
        proxies: proxies.clone(),
        headers: SecurityHeaders::of(config),
        counts: config.http.metrics_bind.map(|_| Counts::default()),
    });
    // CORS wraps the routes, so that a page of another origin may read their errors, too.
    let cors = Condition::new(
        !config.http.cors_origins.is_empty(),
        cross_origin::of(&config.http.cors_origins),
    );
    let app = map_config(App::new().configure(routes).wrap(cors), |()| AppConfig::default());
    // Both use the same routes.
    let (app, made) = (Rc::new(app), Rc::new(OnceCell::new()));
    let service = {
        let (surroundings, app, made) = (surroundings.clone(), app.clone(), made.clone());
        fn_factory(move || {
            let (surroundings, app, made) = (surroundings.clone(), app.clone(), made.clone());
            async move {
                let app = shared(&made, &*app).await?;
                Ok(fn_service(move |request| {
                    let (surroundings, app) = (surroundings.clone(), app.clone());
                    async move {
                        match expectation::answer_under_way(&request) {
                            Some(answer) => Ok(answer.await),
                            None => Ok(answer(surroundings, app, request).await),
                        }
                    }
                }))
            }
        })
    };
    let expectation = fn_factory(move || {
        let (surroundings, app, made) = (surroundings.clone(), app.clone(), made.clone());
        async move {
            let app = shared(&made, &*app).await?;
            Ok(fn_service(move |request| {
                let (surroundings, app) = (surroundings.clone(), app.clone());
                expectation::until_body_is_read(request, move |request| answer(surroundings, app, request))
            }))
        }
    });
    (service, boxed::factory(expectation))
}

/// The routes, which are made once.
async fn shared<F>(made: &OnceCell<Rc<F::Service>>, app: &F) -> Result<Rc<F::Service>, ()>
where
    F: ServiceFactory<Request, Config = (), InitError = ()>,
{
    let make = async || Ok(Rc::new(app.new_service(()).await?));
    made.get_or_try_init(make).await.cloned()
}

/// Answers one request.
async fn answer<S, B>(surroundings: Rc<Surroundings>, app: Rc<S>, mut request: Request) -> Response<BoxBody>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody + 'static,
{
    let turn = Turn::begin(&mut request);
    if let Some(turn) = &turn {
        turn.comes().await;
    }
    let (peer, proxies) = (client::address_of(request.peer_addr()), &surroundings.proxies);
    let id = proxies.request_id(peer, request.headers()).unwrap_or_default();
    proxies.note(peer);
    let networks = Networks::of(proxies.client(peer, request.headers()));
    let agent = request.headers().get(USER_AGENT).cloned();
    let counts = surroundings.counts.as_ref();
    let counted = counts.map(|counts| (counts, request.method().clone(), Instant::now()));

    let answer = networks.scope(id.clone().scope(answer_of(&*app, request)));
    let (request, mut answer) = answer.await;
    if let Some((counts, method, began)) = counted {
        let route = request.as_ref().and_then(HttpRequest::match_name);
        counts.count(route, &method, began, &answer);
    }
    cross_origin::allow_timing(answer.headers_mut());
    surroundings.headers.put_on(answer.headers_mut(), agent.as_ref());
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        answer.headers_mut().insert(X_REQUEST_ID, value);
    }
    if let Some(turn) = &turn {
        turn.is_answered(answer.headers());
    }
    surroundings.presence.answered();
    answer.map_body(|_, body| sliced(body)).into()
}

/// The answer of the routes, and the request as they saw it.
async fn answer_of<B: MessageBody + 'static>(
    app: &impl Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    request: Request,
) -> (Option<HttpRequest>, HttpResponse) {
    match app.call(request).await {
        Ok(answer) => {
            let (request, answer) = answer.into_parts();
            let answer = problem::instead_of_a_bare_error(answer.map_into_boxed_body());
            let answer = pages::problem::for_people(&request, answer);
            (Some(request), answer)
        }
        Err(error) => (None, error.error_response()),
    }
}

#[cfg(test)]
mod tests;
