//! Forward authentication: as a proxy asks, and through a real nginx with the configuration of docs/forward-auth.md.

use std::fs::write;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use tempfile::TempDir;

use crate::support::{Answer, App, Client, eventually, sql};

#[tokio::test]
async fn the_answer_says_who_it_is() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    app.database()
        .execute("update users set name = 'Ada Lovelace, née Byron'");
    let answer = ada.get("/auth/verify").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
    assert_eq!(answer.header("cache-control"), "no-store");
    for (name, value) in [
        ("remote-user", "ada@example.org"),
        ("remote-email", "ada@example.org"),
        ("remote-name", "Ada Lovelace, née Byron"),
        ("remote-groups", "user"),
    ] {
        assert_eq!(answer.headers[name].as_bytes(), value.as_bytes(), "{name}");
    }
    assert_eq!(
        ada.get("/auth/verify?role=admin").await.problem(),
        "403 forbidden"
    );
    assert_eq!(ada.get("/auth/verify?role=user").await.status, 200);
    assert_eq!(
        ada.get("/auth/verify?role=king").await.problem(),
        "400 bad_request"
    );
    let admin = app.admin().await;
    assert_eq!(
        admin.get("/auth/verify?role=admin").await.header("remote-groups"),
        "admin"
    );
    assert_eq!(
        app.visitor().get("/auth/verify?role=king").await.problem(),
        "401 token_missing"
    );
}

#[tokio::test]
async fn being_let_through_is_activity() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    app.database().execute(&sql::backdate_sessions("1 hour"));
    assert_eq!(ada.get("/auth/verify").await.status, 200);
    let active = "select count(*) from sessions where last_activity > now() - interval '1 minute'";
    assert_eq!(app.database().number(active), 1);
}

/// An application that answers with the head of what it was asked.
fn application() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = String::new();
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                match line {
                    Ok(line) if !line.is_empty() => head = format!("{head}{line}\n"),
                    _ => break,
                }
            }
            let length = head.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{head}"
            );
        }
    });
    address
}

/// nginx, ended with the value.
struct Nginx {
    child: Child,
    address: SocketAddr,
    _dir: TempDir,
}

impl Nginx {
    /// With the server of the page, between these two.
    async fn start(oneseat: SocketAddr, application: SocketAddr) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let page = include_str!("../../docs/forward-auth.md");
        let (_, server) = page.split_once("```nginx\n").unwrap();
        let (server, _) = server.split_once("```").unwrap();
        let server = server
            .replace("127.0.0.1:8000", &address.to_string())
            .replace("127.0.0.1:8080", &oneseat.to_string())
            .replace("127.0.0.1:3000", &application.to_string());
        let dir = tempfile::tempdir().unwrap();
        let (root, user) = (
            dir.path().display(),
            if nix::unistd::geteuid().is_root() {
                "user root;"
            } else {
                ""
            },
        );
        let config = format!(
            "{user} daemon off; master_process off; pid {root}/pid; error_log {root}/error.log; events {{}}
             http {{
                 access_log off; client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
                 fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
                 {server}
             }}"
        );
        let file = dir.path().join("nginx.conf");
        write(&file, config).unwrap();
        let child = Command::new("nginx")
            .arg("-c")
            .arg(&file)
            .arg("-e")
            .arg(dir.path().join("error.log"))
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx is missing: script/test installs it");
        eventually("nginx answers", async || TcpStream::connect(address).is_ok()).await;
        Self {
            child,
            address,
            _dir: dir,
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the application was asked, once for each of these headers.
async fn with_headers(client: &Client, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = client.request(Method::GET, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_lets_through_who_is_signed_in_and_nobody_else() {
    let app = App::start_with(|config| config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await;
    let nginx = Nginx::start(app.address, application()).await;
    let ada = app.signed_in("ada").await;
    let through = ada.at(nginx.address);

    let answer = through.get("/some/path?with=query").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.text.starts_with("GET /some/path?with=query"), "{answer:?}");
    let seen = answer.text.to_lowercase();
    for line in [
        "remote-user: ada@example.org\n",
        "remote-name: ada\n",
        "remote-groups: user\n",
    ] {
        assert!(seen.contains(line), "{line} is not in {seen}");
    }
    assert!(!seen.contains("authorization"), "the token went on: {seen}");

    // What a client says of itself is replaced.
    let forged = [
        ("Remote-User", "root@example.org"),
        ("Remote-Groups", "admin"),
        ("remote-email", "root@example.org"),
    ];
    let seen = with_headers(&through, "/", &forged).await.text.to_lowercase();
    assert!(
        !seen.contains("root@example.org") && !seen.contains("groups: admin"),
        "{seen}"
    );

    let nobody = app.visitor().at(nginx.address);
    let answer = with_headers(&nobody, "/", &forged).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), r#"Bearer realm="oneseat""#);
    assert_eq!(through.get("/admin/x").await.status, 403);
    let admin = app.admin().await.at(nginx.address);
    assert_eq!(admin.get("/admin/x").await.status, 200);

    assert_eq!(ada.logout().await.status, 200);
    assert_eq!(through.get("/").await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_lets_nobody_through_when_nobody_can_tell() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nginx = Nginx::start(nobody, application()).await;
    assert!(ada.at(nginx.address).get("/").await.status.is_server_error());
}
