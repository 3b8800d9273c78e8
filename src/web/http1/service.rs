//! From a listening socket to the application: connections, TLS, HTTP/1.1.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_http::{HttpService, Request, Response};
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{Service, ServiceFactory, ServiceFactoryExt, apply_fn_factory, fn_service};
use actix_web::body::BoxBody;
use actix_web::rt::net::TcpStream;
use actix_web::web;
use metrics::counter;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::application::{Expectation, application};
use super::connection::Connection;
use super::connection_limit::{ConnectionLimit, Place};
use super::exchanges::{KEEP_ALIVE, SLOWEST_HEAD};
use super::sliced::PIECE;
use super::supervisor::Workers;
use super::tls;
use crate::auth::metrics::HANDSHAKES_FAILED;
use crate::auth::{Auth, audit};
use crate::config::ServeConfig;
use crate::web::api::metadata::PublicUrl;
use crate::web::extract::client::TrustedProxies;
use crate::web::extract::proxy_check::{self, ProxyCheck};
use crate::web::extract::rate::LoginRates;
use crate::web::site::Site;
use crate::web::{Stopping, routes};

/// How long requests under way may take to finish when the server stops.
const GRACE_SECONDS: u64 = 10;

/// Longest time that a client may take to finish its TLS handshake.
const SLOWEST_HANDSHAKE: Duration = Duration::from_secs(5);

/// Starts to answer.
pub(in crate::web) fn listen(
    listener: TcpListener,
    config: &ServeConfig,
    auth: Auth,
    workers: Workers,
) -> io::Result<(Server, Stopping)> {
    let stopping = Stopping::default();
    let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
    let rates = config
        .http
        .login_rate
        .map(|rate| web::Data::new(LoginRates::new(rate)));
    let of_a_worker = config.http.max_connections.div_ceil(config.http.workers);
    let proxies = TrustedProxies::new(config.trusted_proxies.clone());
    let places = ConnectionLimit::new(of_a_worker.saturating_mul(config.http.workers), proxies.clone());
    let builder = Server::build()
        .workers(config.http.workers)
        .max_concurrent_connections(of_a_worker)
        .shutdown_timeout(GRACE_SECONDS)
        .disable_signals();
    let stop = builder.graceful_shutdown_signal();

    proxy_check::warn_of_everybody(&config.trusted_proxies);
    let check = web::Data::new(ProxyCheck::default());

    let site = web::Data::new(Site::of(&config.site));
    let public_url = web::Data::new(PublicUrl(config.http.public_url.clone()));

    let app = {
        let (config, stopping) = (config.clone(), stopping.clone());
        move || {
            application(&config, &proxies, workers.arrive(), &|app| {
                app.app_data(web::Data::new(proxies.clone()))
                    .app_data(check.clone())
                    .app_data(web::Data::new(auth.clone()))
                    .app_data(site.clone())
                    .app_data(public_url.clone())
                    .app_data(web::Data::new(stopping.clone()));
                if let Some(rates) = &rates {
                    app.app_data(rates.clone());
                }
                routes::configure(app, config.http.static_dir.as_deref());
            })
        }
    };
    let server = match tls {
        None => builder.listen("http", listener, move || {
            let places = places.clone();
            fn_service(move |tcp: TcpStream| {
                let places = places.clone();
                async move {
                    let (peer, place) = admit(&tcp, &places)?;
                    Ok::<_, io::Error>((Connection::new(tcp, place), Some(peer)))
                }
            })
            .map_err(|error| log::debug!("{error}"))
            .and_then(http(app(), &stop))
        }),
        Some(tls) => builder.listen("https", listener, move || {
            let (tls, places) = (tls.clone(), places.clone());
            fn_service(move |tcp: TcpStream| {
                let (tls, places) = (tls.clone(), places.clone());
                async move {
                    let (peer, place) = admit(&tcp, &places)?;
                    let stream = shake_hands(&tls, tcp).await?;
                    Ok::<_, io::Error>((Connection::new(stream, place), Some(peer)))
                }
            })
            .map_err(|error| log::debug!("{error}"))
            .and_then(http(app(), &stop))
        }),
    }?;
    Ok((server.run(), stopping))
}

/// Finds the peer's address and takes a place, before anything else is done for the client.
fn admit(tcp: &TcpStream, places: &ConnectionLimit) -> io::Result<(SocketAddr, Place)> {
    let peer = tcp.peer_addr()?;
    let place = places.take(peer.ip()).ok_or_else(|| {
        audit::connection_refused(peer.ip());
        io::Error::other("a network has too many connections for one more")
    })?;
    tcp.set_nodelay(true)?;
    Ok((peer, place))
}

/// Does the TLS handshake, in time. A failure is counted and logged for debugging only: any port scanner may
/// cause it.
async fn shake_hands(tls: &TlsAcceptor, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let shaken = timeout(SLOWEST_HANDSHAKE, tls.accept(tcp)).await;
    let shaken = shaken.map_err(io::Error::from).flatten();
    if shaken.is_err() {
        counter!(HANDSHAKES_FAILED).increment(1);
    }
    shaken
}

/// HTTP/1.1 over TCP or TLS.
fn http<Io, App>(
    (app, expectation): (App, Expectation),
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
    App: ServiceFactory<Request, Config = (), Response = Response<BoxBody>, Error = Infallible, InitError = ()>
        + 'static,
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
        .h1_write_buffer_size(PIECE)
        // A client that is gone is noticed: then its stream gives its place back, and its password is not
        // hashed.
        .h1_allow_half_closed(false)
        .on_connect_ext(|connection: &Connection<Io>, extensions| connection.attach(extensions))
        .expect(expectation)
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
