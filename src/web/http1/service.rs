//! From a listening socket to the application: connections, TLS, HTTP/1.1, and what wraps every request.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_http::{HttpService, Request, Response};
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{Service, ServiceFactory, ServiceFactoryExt, apply_fn_factory, fn_service, map_config};
use actix_web::body::BoxBody;
use actix_web::dev::AppConfig;
use actix_web::middleware::{Condition, from_fn};
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpResponse, web};
use metrics::counter;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connection::{Connection, KEEP_ALIVE, SLOWEST_HEAD, track_exchanges};
use super::connection_limit::{ConnectionLimit, Place};
use super::sliced::{PIECE, sliced};
use super::supervisor::Workers;
use super::tls;
use crate::auth::metrics::HANDSHAKES_FAILED;
use crate::auth::{Auth, audit};
use crate::config::ServeConfig;
use crate::web::extract::rate::LoginRates;
use crate::web::extract::{client, proxy_check};
use crate::web::middleware::{cross_origin, panics, request_id, security_headers};
use crate::web::{Stopping, middleware, problem, routes};

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
    let proxies = client::TrustedProxies::new(config.trusted_proxies.clone());
    let places = ConnectionLimit::new(of_a_worker.saturating_mul(config.http.workers), proxies.clone());
    let builder = Server::build()
        .workers(config.http.workers)
        .max_concurrent_connections(of_a_worker)
        .shutdown_timeout(GRACE_SECONDS)
        .disable_signals();
    let stop = builder.graceful_shutdown_signal();

    proxy_check::warn_of_everybody(&config.trusted_proxies);
    let proxies = web::Data::new(proxies);
    let check = web::Data::new(proxy_check::ProxyCheck::default());

    let app = {
        let (config, stopping) = (config.clone(), stopping.clone());
        move || {
            let answering = workers.clone();
            let app = application(&config, &|app: &mut web::ServiceConfig| {
                app.app_data(proxies.clone()).app_data(check.clone());
                provide(app, &config, &auth, rates.clone(), stopping.clone());
                app.app_data(web::Data::new(workers.arrive()));
            });
            app.map(move |answer| {
                answering.answered();
                answer
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
        .h1_write_buffer_size(PIECE)
        // A client that is gone is noticed: then its stream gives its place back, and its password is not
        // hashed.
        .h1_allow_half_closed(false)
        .on_connect_ext(|connection: &Connection<Io>, extensions| connection.attach(extensions))
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

/// Adds the routes and what their handlers need.
fn provide(
    app: &mut web::ServiceConfig,
    config: &ServeConfig,
    auth: &Auth,
    rates: Option<web::Data<LoginRates>>,
    stopping: Stopping,
) {
    app.app_data(web::Data::new(auth.clone()))
        .app_data(web::Data::new(stopping));
    if let Some(rates) = rates {
        app.app_data(rates);
    }
    routes::configure(app, config.http.static_dir.as_deref());
}

/// Wraps the routes, from the inside out: panics, CORS, metrics, problems, headers, the request id, and the
/// exchanges of the connection.
fn application(
    config: &ServeConfig,
    routes: &dyn Fn(&mut web::ServiceConfig),
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
    let app = App::new()
        .configure(routes)
        .wrap(from_fn(panics::a_panic_is_a_problem))
        // Outside of what fails, so that a page of another origin may read that it did.
        .wrap(Condition::new(
            !config.http.cors_origins.is_empty(),
            cross_origin::of(&config.http.cors_origins),
        ))
        .wrap(Condition::new(
            config.http.metrics_bind.is_some(),
            from_fn(middleware::metrics::count),
        ))
        .wrap(from_fn(problem::every_error_is_a_problem))
        .wrap(security_headers::on_every_response(&headers))
        .wrap(from_fn(request_id::name))
        .wrap(from_fn(track_exchanges));
    map_config(app, |()| AppConfig::default())
        .map(|answer: actix_web::dev::ServiceResponse<_>| {
            Response::from(answer.map_into_boxed_body().map_body(|_, body| sliced(body)))
        })
        .map_err(move |error| security_headers::on_an_error(&error, &headers))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use actix_http::body::{MessageBody, to_bytes};
    use actix_web::HttpRequest;
    use actix_web::test::TestRequest;

    use super::*;
    use crate::captured_log;
    use crate::config::StandardOutput;
    use crate::config::tests::read_with;
    use crate::token::Token;
    use crate::users::Password;

    fn config(flags: &[&str]) -> ServeConfig {
        let flags = [&["--database-url", "postgres://"], flags].concat();
        read_with(StandardOutput::Elsewhere, &flags).unwrap().1
    }

    /// Panics at the worst time: it holds the secrets of the request, and its message shows them.
    async fn panicking(request: HttpRequest, password: String) -> &'static str {
        let token = Token::parse(&request.headers().get("authorization").unwrap().as_bytes()[7..]).unwrap();
        let password = Password::typed(&password).unwrap();
        panic!("on purpose\nwith {token:?} and {password:?}")
    }

    #[actix_web::test]
    async fn a_panic_is_one_failed_request_without_its_secrets_and_the_next_is_answered() {
        const ORIGIN: &str = "https://app.example.org";
        captured_log::start();
        let routes = |app: &mut web::ServiceConfig| {
            app.route("/panic", web::post().to(panicking))
                .route("/fine", web::get().to(async || "fine"));
        };
        let app = application(&config(&["--cors-origins", ORIGIN]), &routes);
        let app = app.new_service(()).await.unwrap();
        let (token, password) = ("ca".repeat(32), "a canary of a password");

        for _ in 0..2 {
            captured_log::lines();
            let request = TestRequest::post()
                .uri("/panic?token=canary")
                .insert_header(("Authorization", format!("Bearer {token}")))
                .insert_header(("Origin", ORIGIN))
                .set_payload(password);
            let answer: Response<BoxBody> = match app.call(request.to_request()).await {
                Ok(answer) => answer,
                Err(error) => error.into(),
            };
            assert_eq!(answer.status(), 500);
            for (name, value) in [
                ("content-type", "application/problem+json"),
                ("cache-control", "no-store"),
                ("x-content-type-options", "nosniff"),
                ("access-control-allow-origin", ORIGIN),
            ] {
                assert_eq!(answer.headers().get(name).unwrap(), value, "{name}");
            }
            assert!(answer.headers().contains_key("content-security-policy"));
            let id = answer
                .headers()
                .get("x-request-id")
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let body = to_bytes(answer.into_body()).await.unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            assert!(
                body.contains("\"code\":\"internal\"") && body.contains(&id) && !body.contains("purpose"),
                "{body}"
            );

            let log = captured_log::lines();
            assert_eq!(log.len(), 2, "{log:#?}");
            assert!(
                log[0].contains("src/web/http1/service.rs") && log[0].contains("Token(..)"),
                "{log:#?}"
            );
            assert_eq!(
                log[1],
                format!("ERROR POST \"/panic\" ended in a panic requestId={id}")
            );
            for line in &log {
                assert!(line.ends_with(&id), "{line}");
                assert!(!line.contains(&token) && !line.contains("canary"), "{line}");
                assert!(!line.contains('\n'), "{line}");
            }
            let fine = app.call(TestRequest::get().uri("/fine").to_request()).await;
            assert_eq!(fine.unwrap().status(), 200);
        }
    }

    #[actix_web::test]
    async fn no_answer_is_copied_whole_for_a_client_that_may_not_read_it() {
        let routes = |app: &mut web::ServiceConfig| {
            app.route("/long", web::get().to(async || "x".repeat(1_000_000)));
        };
        let app = application(&config(&[]), &routes);
        let app = app.new_service(()).await.unwrap();
        let answer = app.call(TestRequest::get().uri("/long").to_request()).await;
        let mut body = std::pin::pin!(answer.unwrap().into_body());
        let mut pieces = Vec::new();
        while let Some(piece) = poll_fn(|cx| body.as_mut().poll_next(cx)).await {
            pieces.push(piece.unwrap().len());
        }
        assert_eq!(pieces.iter().sum::<usize>(), 1_000_000);
        assert!(pieces.iter().all(|length| *length <= PIECE), "{pieces:?}");
    }

    #[actix_web::test]
    async fn whatever_answers_a_request_it_is_counted() {
        const ORIGIN: &str = "https://app.example.org";
        let counts = crate::auth::metrics::start().unwrap();
        let routes = |app: &mut web::ServiceConfig| {
            app.route("/counted/{id}", web::get().to(async || "fine"))
                .route("/counted/{id}/panic", web::post().to(panicking));
        };
        let flags = ["--cors-origins", ORIGIN, "--metrics-bind", "127.0.0.1:0"];
        let app = application(&config(&flags), &routes);
        let app = app.new_service(()).await.unwrap();
        let authorization = ("Authorization", format!("Bearer {}", "ca".repeat(32)));
        for request in [
            TestRequest::get().uri("/counted/1"),
            TestRequest::delete().uri("/counted/1"),
            TestRequest::post()
                .uri("/counted/1/panic")
                .insert_header(authorization)
                .set_payload("a password"),
            TestRequest::default()
                .method(actix_web::http::Method::OPTIONS)
                .uri("/counted/1")
                .insert_header(("Origin", ORIGIN))
                .insert_header(("Access-Control-Request-Method", "GET")),
            TestRequest::default()
                .method(actix_web::http::Method::OPTIONS)
                .uri("/counted/1")
                .insert_header(("Origin", "https://elsewhere.example.org"))
                .insert_header(("Access-Control-Request-Method", "GET")),
        ] {
            let _ = app.call(request.to_request()).await;
        }
        let told = counts.render();
        for (route, method, status) in [
            ("/counted/{id}", "GET", 200),
            ("/counted/{id}", "DELETE", 404),
            ("/counted/{id}/panic", "POST", 500),
            ("/counted/{id}", "OPTIONS", 200),
            ("/counted/{id}", "OPTIONS", 400),
        ] {
            let labels = format!(r#"{{route="{route}",method="{method}",status="{status}"}} 1"#);
            assert!(told.contains(&labels), "{labels} is not in {told}");
        }
    }
}
