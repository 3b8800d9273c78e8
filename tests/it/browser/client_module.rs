//! The module that pages of any origin use, by the example that shows how.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use super::ADA;
use super::overlaps::Page;
use crate::support::{App, Browser, PASSWORD, eventually, files_below};
use oneseat::users::Role;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Files on an origin of their own.
pub(super) struct Site {
    pub(super) address: SocketAddr,
    dir: TempDir,
    server: Child,
}

impl Site {
    pub(super) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Command::new("/usr/bin/python3")
            .args([
                "-u",
                "-m",
                "http.server",
                "0",
                "--bind",
                "127.0.0.1",
                "--directory",
            ])
            .arg(dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut greeting = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut greeting)
            .unwrap();
        let port = greeting
            .split_whitespace()
            .skip_while(|word| *word != "port")
            .nth(1);
        let port: u16 = port.unwrap().parse().unwrap();
        Self {
            address: ([127, 0, 0, 1], port).into(),
            dir,
            server,
        }
    }

    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts the example here, for a server at this address.
    pub(super) fn show_the_example(&self, server: SocketAddr) {
        self.show(&Path::new(ROOT).join("examples/other-origin"), server);
    }

    /// Puts these pages here, for a server at this address.
    pub(super) fn show(&self, pages: &Path, server: SocketAddr) {
        for entry in files_below(pages) {
            let text = std::fs::read_to_string(&entry).unwrap();
            let text = text.replace("127.0.0.1:8080", &server.to_string());
            let here = self.dir.path().join(entry.strip_prefix(pages).unwrap());
            std::fs::create_dir_all(here.parent().unwrap()).unwrap();
            std::fs::write(here, text).unwrap();
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

async fn example() -> (App, Site) {
    let site = Site::start();
    let origin = site.origin();
    let app = App::start_with(|config| config.http.cors_origins = vec![origin]).await;
    app.add_user("ada", Role::User).await;
    site.show_the_example(app.address);
    (app, site)
}

pub(super) async fn sign_in(browser: &Browser, password: &str) {
    browser.fill("[name=email]", ADA).await;
    browser.fill("[name=password]", password).await;
    browser.click("#login button").await;
}

#[tokio::test]
async fn a_page_of_another_origin_signs_in_asks_and_hears_that_the_seat_is_gone() {
    let (app, site) = example().await;
    let elsewhere = Browser::open(site.address, "/").await;
    sign_in(&elsewhere, "not the password of ada").await;
    elsewhere.wait_for_words("Invalid credentials").await;
    sign_in(&elsewhere, PASSWORD).await;
    elsewhere.wait_for_words("This is the seat of ada.").await;
    elsewhere.click("#ask").await;
    elsewhere.wait_for_words("Nowhere: this is the first time.").await;

    let here = Browser::open(app.address, "/login").await;
    here.sign_in(ADA).await;
    elsewhere.wait_for_words("The seat is gone: replaced.").await;
    sign_in(&elsewhere, PASSWORD).await;
    here.wait_for_words("so this page was signed out.").await;
    elsewhere.wait_for_words("This is the seat of ada.").await;
    elsewhere.click("#ask").await;
    elsewhere.wait_for_words("replaced").await;
    elsewhere.click("#leave").await;
    elsewhere.wait_for_words("The seat is gone: signed_out.").await;
    eventually("the server knows", async || app.sessions() == 0).await;
}

#[tokio::test]
async fn leaving_a_page_of_another_origin_ends_its_session() {
    let (app, site) = example().await;
    let browser = Browser::open(site.address, "/").await;
    sign_in(&browser, PASSWORD).await;
    browser.wait_for_words("This is the seat of ada.").await;
    browser.page.refresh().await.unwrap();
    browser.wait_for("#login [name=email]").await;
    eventually("the server knows", async || {
        app.database()
            .number("select count(*) from ended_sessions where reason = 'page_closed'")
            == 1
    })
    .await;
}

#[tokio::test]
async fn a_page_whose_origin_was_not_named_gets_neither_the_module_nor_an_answer() {
    let (app, site) = example().await;
    let stranger = Site::start();
    stranger.show_the_example(app.address);
    let browser = Browser::open(stranger.address, "/").await;
    browser.wait_for_words("oneseat is not here yet").await;
    let asks = format!(
        "fetch('http://{}/healthz').then(() => 'answered', () => 'refused').then((said) => {{ document.title = said }})",
        app.address
    );
    browser.run(&asks).await;
    assert!(browser.wait_until("return document.title === 'refused'").await);
    assert_ne!(site.address, stranger.address);
}

#[tokio::test]
async fn the_token_is_given_to_the_server_and_to_origins_that_were_named_and_to_no_other() {
    let (app, site) = example().await;
    // The application behind the seat: here, one that answers every request.
    let application = app.another_instance().await;
    let browser = Browser::open(site.address, "/").await;
    let script = format!(
        "const say = (words) => {{ document.title = words }};
         (async () => {{
             const {{ Oneseat }} = await import('http://{server}/static/oneseat.js');
             const seat = new Oneseat({{ origins: ['http://{application}'] }});
             await seat.signIn('{ADA}', '{PASSWORD}');
             const answers = [];
             for (const url of ['http://{server}/auth/session', 'http://{application}/auth/session', '{site}/', '/app.js']) {{
                 answers.push(await seat.fetch(url).then((response) => response.status, (error) => error.name));
             }}
             const printed = JSON.stringify(seat) + Object.keys(seat) + Object.keys(window);
             answers.push(/[0-9a-f]{{64}}/.test(printed));
             say(answers.join());
         }})().catch(String).then((failed) => failed && say(failed));",
        server = app.address,
        application = application.address,
        site = site.origin(),
    );
    browser.run(&script).await;
    browser.wait_until("return document.title.includes(',')").await;
    // The other instance has not named this origin, so its answer cannot be read; the token was meant for it.
    assert_eq!(
        browser.run("return document.title").await,
        "200,TypeError,TypeError,TypeError,false"
    );
}

#[tokio::test]
async fn an_origin_is_a_scheme_a_host_and_a_port_and_nothing_else_gets_the_token() {
    let page = Page::open().await;
    let refused = page
        .browser
        .run(
            "const refused = ['null', '', 'app.example.org', '//app.example.org', 'https://', 'https://app.example.org/',
                 'https://app.example.org/path', 'https://app.example.org?', 'https://app.example.org#', 'https://me@app.example.org',
                 'https://app.example.org\\\\', ' https://app.example.org', 'https://*.example.org:no', 'file:///srv/app.html', 'file://host',
                 'data:text/html,app', 'blob:https://app.example.org/1', 'blob:null/1', 'about:blank', 'javascript:0', 'ftp://app.example.org',
                 null, undefined, 7, {}, [], new URL('https://app.example.org'), ['https://app.example.org']];
             const makes = (options) => { try { new Oneseat(options); return true; } catch (error) { return !(error instanceof TypeError); } };
             return [refused.filter((origin) => makes({ origins: [origin] })).map(String),
                     ['https://app.example.org', new Set()].filter((origins) => makes({ origins })).map(String),
                     ['data:text/javascript,0', 'file:///srv/oneseat.js', 'blob:null/1'].filter((server) => makes({ server }))];",
        )
        .await;
    assert_eq!(refused, json!([[], [], []]));
    let accepted = "new Oneseat({ server: 'HTTPS://Seat.Example.org/any/path', origins: ['https://APP.example.org:443', 'http://127.0.0.1:8000'] }); return true";
    assert_eq!(page.browser.run(accepted).await, true);
    page.sign_in(ADA).await;
    page.begin("blob", "seat.fetch(URL.createObjectURL(new Blob(['{}'])))")
        .await;
    assert_eq!(page.outcome("blob").await, "TypeError");
}

#[test]
fn the_types_say_what_the_module_has_and_the_module_keeps_to_them() {
    let dir = tempfile::tempdir().unwrap();
    let copy = |from: &str, to: &str| {
        std::fs::copy(Path::new(ROOT).join("clients/js").join(from), dir.path().join(to)).unwrap();
    };
    copy("oneseat.js", "module.js");
    copy("oneseat.d.ts", "types.d.ts");
    // Both ways: what the types promise is there, and nothing is there that they hide.
    let check = "import * as module from './module.js';
        import type * as types from './types.js';
        type Members<T> = { [Name in keyof T]: T[Name] extends abstract new (...args: any) => infer I ? keyof I | keyof T[Name] : T[Name] };
        const is_kept: typeof types = module;
        const is_told: Members<typeof module> = {} as Members<typeof types>;
        const kinds: [module.User, module.Ending, module.Options] = {} as [types.User, types.Ending, types.Options];
        export { is_kept, is_told, kinds };";
    std::fs::write(dir.path().join("check.ts"), check).unwrap();
    let output = Command::new(Path::new(ROOT).join("target/tools/node_modules/.bin/tsc"))
        .args([
            "--noEmit",
            "--strict",
            "--allowJs",
            "--checkJs",
            "--noUnusedLocals",
            "--target",
            "es2024",
        ])
        .args([
            "--lib",
            "es2024,dom,dom.iterable",
            "--module",
            "esnext",
            "check.ts",
        ])
        .current_dir(dir.path())
        .output()
        .expect("tsc is missing: script/test installs it");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
