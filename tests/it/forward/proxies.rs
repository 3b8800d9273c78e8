//! Real proxies, with the configurations that docs/forward-auth.md shows.

use std::fs::write;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use tempfile::TempDir;

use crate::support::{Answer, App, Client, eventually};

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

/// A proxy, ended with the value.
struct Proxy {
    child: Child,
    address: SocketAddr,
    _dir: TempDir,
}

/// The configuration in this language that the page shows.
fn shown(language: &str) -> &'static str {
    let page = include_str!("../../../docs/forward-auth.md");
    let (_, text) = page.split_once(&format!("```{language}\n")).unwrap();
    text.split_once("```").unwrap().0
}

fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap()
}

impl Proxy {
    /// nginx with the server of the page, between these two.
    async fn nginx(oneseat: SocketAddr, application: SocketAddr) -> Self {
        let address = free_address();
        let server = shown("nginx")
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
        let mut nginx = Command::new("nginx");
        nginx
            .arg("-c")
            .arg(&file)
            .arg("-e")
            .arg(dir.path().join("error.log"));
        Self::started(nginx, address, dir).await
    }

    /// Caddy with the site of the page, between these two.
    async fn caddy(oneseat: SocketAddr, application: SocketAddr) -> Self {
        let address = free_address();
        let site = shown("caddyfile")
            .replace("app.example.org", &format!("http://{address}"))
            .replace("127.0.0.1:8080", &oneseat.to_string())
            .replace("127.0.0.1:3000", &application.to_string());
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("Caddyfile");
        write(&file, format!("{{\n\tadmin off\n}}\n{site}")).unwrap();
        let mut caddy = Command::new("caddy");
        caddy
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(&file);
        for place in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            caddy.env(place, dir.path());
        }
        Self::started(caddy, address, dir).await
    }

    /// Waits until it answers.
    async fn started(mut proxy: Command, address: SocketAddr, dir: TempDir) -> Self {
        let child = proxy
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a proxy is missing: script/test installs it");
        eventually("the proxy answers", async || TcpStream::connect(address).is_ok()).await;
        Self {
            child,
            address,
            _dir: dir,
        }
    }
}

impl Drop for Proxy {
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
    let nginx = Proxy::nginx(app.address, application()).await;
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
    let nginx = Proxy::nginx(free_address(), application()).await;
    assert!(ada.at(nginx.address).get("/").await.status.is_server_error());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caddy_lets_through_who_is_signed_in_and_nobody_else() {
    let app = App::start_with(|config| config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await;
    let caddy = Proxy::caddy(app.address, application()).await;
    let ada = app.signed_in("ada").await;
    let through = ada.at(caddy.address);

    // Whatever the application is asked, it is no question to oneseat.
    for query in ["with=query", "role=admin", "role=editor", "role=user&role=admin"] {
        let path = format!("/some/path?{query}");
        let forged = [("Remote-User", "root@example.org"), ("Remote-Groups", "admin")];
        let answer = with_headers(&through, &path, &forged).await;
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        assert!(answer.text.starts_with(&format!("GET {path} ")), "{answer:?}");
        let seen = answer.text.to_lowercase();
        for line in [
            "remote-user: ada@example.org\n",
            "remote-name: ada\n",
            "remote-groups: user\n",
        ] {
            assert!(seen.contains(line), "{line} is not in {seen}");
        }
        assert!(
            !seen.contains("authorization") && !seen.contains("root@example.org"),
            "{seen}"
        );
    }
    let answer = app.visitor().at(caddy.address).get("/").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), r#"Bearer realm="oneseat""#);
    assert_eq!(ada.logout().await.status, 200);
    assert_eq!(through.get("/").await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caddy_lets_nobody_through_when_nobody_can_tell() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    let caddy = Proxy::caddy(free_address(), application()).await;
    assert!(ada.at(caddy.address).get("/").await.status.is_server_error());
}
