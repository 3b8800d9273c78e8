//! From a listening socket to the application: connections, TLS, HTTP/1.1, and what wraps every request.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_http::{HttpService, Request, Response};
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{Service, ServiceFactory, ServiceFactoryExt, apply_fn_factory, fn_service, map_config};
use actix_web::body::BoxBody;
use actix_web::dev::AppConfig;
use actix_web::middleware::{Condition, from_fn};
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpResponse, web};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::connection::{Connection, KEEP_ALIVE, SLOWEST_HEAD, keep_pace};
use super::rate::LoginRates;
use super::{GRACE_SECONDS, client, cross_origin, panics, problem, routes, security_headers, tls};
use crate::auth::Auth;
use crate::config::ServeConfig;

/// A client that does not finish its TLS handshake in this time is cut off.
const SLOWEST_HANDSHAKE: Duration = Duration::from_secs(5);

/// The server has been told to stop: load balancers learn it from `GET /readyz`.
#[derive(Clone, Default)]
pub(super) struct Stopping(Arc<AtomicBool>);

impl Stopping {
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Starts to answer.
pub(super) fn listen(
    listener: TcpListener,
    config: &ServeConfig,
    auth: Auth,
) -> io::Result<(Server, Stopping)> {
    let stopping = Stopping::default();
    let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
    let rates = config
        .login_rate
        .map(|rate| web::Data::new(LoginRates::new(rate)));
    let builder = Server::build()
        .workers(config.workers)
        .max_concurrent_connections(config.max_connections.div_ceil(config.workers))
        .shutdown_timeout(GRACE_SECONDS)
        .disable_signals();
    let stop = builder.graceful_shutdown_signal();

    let app = {
        let (config, stopping) = (config.clone(), stopping.clone());
        move || application(&config, &auth, rates.clone(), stopping.clone())
    };
    let server = match tls {
        None => builder.listen("http", listener, move || {
            fn_service(async |tcp: TcpStream| {
                let peer = tcp.peer_addr()?;
                tcp.set_nodelay(true)?;
                Ok::<_, io::Error>((Connection::new(tcp), Some(peer)))
            })
            .map_err(|error| log::debug!("{error}"))
            .and_then(http(app(), &stop))
        }),
        Some(tls) => builder.listen("https", listener, move || {
            let tls = tls.clone();
            fn_service(move |tcp: TcpStream| {
                let tls = tls.clone();
                async move {
                    let peer = tcp.peer_addr()?;
                    tcp.set_nodelay(true)?;
                    let stream = timeout(SLOWEST_HANDSHAKE, tls.accept(tcp)).await??;
                    Ok::<_, io::Error>((Connection::new(stream), Some(peer)))
                }
            })
            .map_err(|error| log::debug!("{error}"))
            .and_then(http(app(), &stop))
        }),
    }?;
    Ok((server.run(), stopping))
}

/// HTTP/1.1 over whatever bytes travel on.
fn http<Io, App>(
    app: App,
    stop: &GracefulShutdownSignal,
) -> impl ServiceFactory<
    (Connection<Io>, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = (),
    InitError = (),
    Future: 'static,
    Service: 'static,
> + use<Io, App>
+ 'static
where
    Io: AsyncRead + AsyncWrite + Unpin + 'static,
    App: ServiceFactory<
            Request,
            Config = (),
            Response = Response<BoxBody>,
            Error = HttpResponse,
            InitError = (),
        > + 'static,
    App::Service: 'static,
    App::Future: 'static,
    <App::Service as Service<Request>>::Future: 'static,
{
    let stop = stop.clone();
    let http = HttpService::build()
        .graceful_shutdown_signal(move || {
            let stop = stop.clone();
            async move { stop.notified().await }
        })
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(SLOWEST_HEAD)
        // A client that is gone is noticed: its stream gives its place back, its password is not hashed.
        .h1_allow_half_closed(false)
        .on_connect_ext(|connection: &Connection<Io>, extensions| connection.leave_pace(extensions))
        .h1(app);
    apply_fn_factory(http, |(connection, peer): (Connection<Io>, _), http| {
        let overdue = connection.overdue();
        let served = http.call((connection, peer));
        async move {
            tokio::select! {
                biased;
                served = served => served,
                () = overdue => {
                    log::debug!("a client that took too long is cut off");
                    Ok(())
                }
            }
        }
    })
    .map_err(|error| log::debug!("{error}"))
}

/// The routes, and around them, from the inside out: CORS, problems, headers, panics, and the pace of the connection.
fn application(
    config: &ServeConfig,
    auth: &Auth,
    rates: Option<web::Data<LoginRates>>,
    stopping: Stopping,
) -> impl ServiceFactory<
    Request,
    Config = (),
    Response = Response<BoxBody>,
    Error = HttpResponse,
    InitError = (),
    Future: 'static,
    Service: Service<Request, Response = Response<BoxBody>, Error = HttpResponse, Future: 'static> + 'static,
> + use<>
+ 'static {
    let headers = security_headers::of(config);
    let mut app = App::new()
        .app_data(web::Data::new(auth.clone()))
        .app_data(web::Data::new(stopping))
        .app_data(web::Data::new(client::TrustedProxies::new(
            config.trusted_proxies.clone(),
        )));
    if let Some(rates) = rates {
        app = app.app_data(rates);
    }
    let app = app
        .configure(|app| routes::configure(app, &config.static_dir))
        .wrap(Condition::new(
            !config.cors_origins.is_empty(),
            cross_origin::of(&config.cors_origins),
        ))
        .wrap(from_fn(problem::every_error_is_a_problem))
        .wrap(security_headers::on_every_response(&headers))
        .wrap(from_fn(panics::a_panic_is_a_problem))
        .wrap(from_fn(keep_pace));
    map_config(app, |()| AppConfig::default())
        .map(|answer: actix_web::dev::ServiceResponse<_>| Response::from(answer.map_into_boxed_body()))
        .map_err(move |error| security_headers::on_an_error(&error, &headers))
}
