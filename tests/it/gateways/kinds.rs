//! How each gateway is run: the settings that it needs beside the configuration on the page.

use std::process::Command;

use super::{Site, Task, is_root, program};

/// Where Debian's Apache has its modules.
const MODULES: &str = "/usr/lib/apache2/modules";

/// The gateways that run in the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Caddy,
    Haproxy,
    Apache,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Nginx, Self::Caddy, Self::Haproxy, Self::Apache];

    pub(super) fn command(self, site: &Site) -> Command {
        match self {
            Self::Nginx => nginx(site),
            Self::Caddy => caddy(site),
            Self::Haproxy => haproxy(site),
            Self::Apache => apache(site),
        }
    }
}

fn nginx(site: &Site) -> Command {
    let servers = match site.task {
        Task::FrontOfAnother => format!(
            "server {{ listen {}; location / {{ proxy_pass https://{}; proxy_set_header Host $host; }} }}",
            site.address, site.oneseat
        ),
        _ => site.shown("nginx", "nginx"),
    };
    let servers = servers
        .replace("listen       80;", &format!("listen {};", site.plain))
        .replace("listen       443 ssl;", &format!("listen {} ssl;", site.address));
    let (dir, user) = (site.dir.display(), if is_root() { "user root;" } else { "" });
    let config = format!(
        "{user} daemon off; master_process off; pid {dir}/pid; events {{}}
         http {{
             access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;
             fastcgi_temp_path {dir}/fastcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
             {servers}
         }}"
    );
    let (file, log) = (site.write("nginx.conf", &config), site.dir.join("error.log"));
    program("nginx", &["-e", log.to_str().unwrap(), "-c"], &file)
}

fn caddy(site: &Site) -> Command {
    let shown = site.shown("Caddy", "caddyfile");
    let config = match site.task {
        // No certificate from elsewhere, and no port of another program.
        Task::Front => {
            let dir = site.dir.display();
            let tls = format!("\ttls {dir}/fullchain.pem {dir}/privkey.pem\n");
            let host = site.address.ip();
            let address = format!(
                "https://seat.example.org:{} {{\n\tbind {host}\n{tls}",
                site.address.port()
            );
            shown
                .replacen("{\n", "{\n\tadmin off\n\tauto_https disable_redirects\n", 1)
                .replace("seat.example.org {\n", &address)
        }
        _ => {
            // Without a host of its own it would want the port of all of them.
            let address = format!("http://{} {{\n\tbind {}\n", site.address, site.address.ip());
            let shown = shown.replace("app.example.org {\n", &address);
            format!("{{\n\tadmin off\n}}\n{shown}")
        }
    };
    let file = site.write("Caddyfile", &config);
    let mut caddy = program("caddy", &["run", "--adapter", "caddyfile", "--config"], &file);
    for place in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        caddy.env(place, &site.dir);
    }
    caddy
}

fn haproxy(site: &Site) -> Command {
    if !matches!(site.task, Task::Front) {
        site.write("oneseat.lua", &site.shown("HAProxy", "lua"));
    }
    let config = site
        .shown("HAProxy", "haproxy")
        .replace("bind :80\n", &format!("bind {}\n", site.plain))
        .replace("bind :443 ", &format!("bind {} ", site.address));
    let file = site.write("haproxy.cfg", &config);
    program("haproxy", &["-db", "-f"], &file)
}

fn apache(site: &Site) -> Command {
    let modules = [
        "mpm_event",
        "alias",
        "authz_core",
        "env",
        "headers",
        "lua",
        "proxy",
        "proxy_http",
        "reqtimeout",
        "ssl",
        "unique_id",
    ];
    let mut config = String::from("ServerName localhost\n");
    for module in modules {
        config += &format!("LoadModule {module}_module {MODULES}/mod_{module}.so\n");
    }
    let dir = site.dir.display();
    config += &format!("ServerRoot {dir}\nPidFile {dir}/pid\nErrorLog {dir}/error.log\n");
    if is_root() {
        config += "User nobody\nGroup nogroup\n";
        open_to_others(site);
    }
    if matches!(site.task, Task::Front) {
        config += &format!("Listen {}\nListen {}\n", site.address, site.plain);
    } else {
        site.write("oneseat.lua", &site.shown("Apache", "lua"));
    }
    config += &site
        .shown("Apache", "apache")
        .replace("*:80>", &format!("{}>", site.plain))
        .replace("*:443>", &format!("{}>", site.address));
    let file = site.write("apache.conf", &config);
    // One process that is ended as a whole.
    program("apache2", &["-X", "-f"], &file)
}

/// Apache reads its Lua script as another user than root.
fn open_to_others(site: &Site) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&site.dir, std::fs::Permissions::from_mode(0o755)).unwrap();
}
