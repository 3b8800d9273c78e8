//! The operator's own name, logo, accent colour and links, in pages and mails.

use oneseat::config::{LogoFormat, ServeConfig, Shades};
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, App, MailServer, config_of};

const FLAGS: [&str; 3] = [
    "--site-name=Müller & Co",
    "--site-accent=#7c3aed",
    "--site-links=Help=https://example.org/help?a=b,Imprint=/static/imprint.html",
];

const FOR_GOOD: &str = "public, max-age=31536000, immutable";

fn with_flags(config: &mut ServeConfig, flags: &[&str]) {
    config.site = config_of(flags).unwrap().site;
}

fn logo(content: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

/// The addresses of the site's own files in a page.
fn own_files(page: &str) -> Vec<String> {
    let quoted = page.split('"').filter(|part| part.starts_with("/site/"));
    quoted.map(str::to_owned).collect()
}

#[tokio::test]
async fn pages_have_the_name_the_colour_and_the_links_of_the_site() {
    let app = App::start_with(|config| with_flags(config, &FLAGS)).await;
    let ada = app.signed_in("ada").await;
    for path in ["/login", "/forgot", "/verify", "/welcome", "/reset", "/dashboard"] {
        let page = ada.get(path).await.text;
        assert!(page.contains(" · Müller &#38; Co</title>"), "{path}: {page}");
        assert!(page.contains("<span>Müller &#38; Co</span>"), "{path}");
        assert!(page.contains("href=\"https://example.org/help?a=b\""), "{path}");
        assert!(page.contains("href=\"/static/imprint.html\""), "{path}");
        // Neither the name of the program nor its words are left.
        let words = page.replace("oneseat.css", "").replace("oneseat.js", "");
        assert!(
            !words.contains("oneseat") && !words.contains("One user"),
            "{path}: {page}"
        );
    }
    let page = app.visitor().get("/login").await.text;
    let [sheet] = &own_files(&page)[..] else {
        panic!("{page}");
    };
    let answer = app.visitor().get(sheet).await;
    assert_eq!(answer.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(answer.header("cache-control"), FOR_GOOD);
    assert!(answer.text.contains("--accent: #7c3aed;"), "{}", answer.text);
    assert!(
        answer.text.contains("prefers-color-scheme: dark"),
        "{}",
        answer.text
    );
    // Another instance may have another colour.
    let other = app.visitor().get("/site/0123456789abcdef/site.css").await;
    assert_eq!(
        (other.header("cache-control"), &other.text),
        ("no-cache", &answer.text)
    );
    for nothing in [
        "/site/0123456789abcdef/logo.svg",
        "/site/0123456789abcdef/x",
        "/site/x/site.css",
    ] {
        assert_eq!(
            app.visitor().get(nothing).await.problem(),
            "404 not_found",
            "{nothing}"
        );
    }
}

#[tokio::test]
async fn a_logo_is_an_image_and_nothing_else() {
    let svg = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1 1'><rect width='1' height='1'/></svg>";
    let file = logo(svg);
    let flag = format!("--site-logo={}", file.path().display());
    let app = App::start_with(|config| with_flags(config, &[&flag])).await;
    let page = app.visitor().get("/login").await.text;
    let files = own_files(&page);
    assert_eq!(files.len(), 2, "the icon and the one on the page: {page}");
    assert!(files.iter().all(|address| *address == files[0]), "{files:?}");
    // At the address of another version, as a page of another instance may name it.
    let of_another = "/site/0123456789abcdef/logo.svg";
    for (path, kept) in [
        (files[0].as_str(), FOR_GOOD),
        (of_another, "no-cache"),
        ("/favicon.ico", "no-cache"),
    ] {
        let answer = app.visitor().get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text.as_str()),
            (200, svg),
            "{path}"
        );
        assert_eq!(answer.header("content-type"), "image/svg+xml; charset=utf-8");
        assert_eq!(answer.header("cache-control"), kept, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("sandbox"),
            "{policy}"
        );
        assert!(!policy.contains("script"), "{policy}");
    }
}

#[tokio::test]
async fn without_a_logo_the_icon_is_ours() {
    let app = App::start().await;
    let icon = app.visitor().get("/favicon.ico").await;
    assert_eq!(icon.header("content-type"), "image/svg+xml; charset=utf-8");
    assert_eq!(icon.text, app.visitor().get("/static/icon.svg").await.text);
    assert!(own_files(&app.visitor().get("/login").await.text).is_empty());
}

#[tokio::test]
async fn mails_come_from_the_site() {
    let mails = MailServer::start();
    let app = App::start_with(|config| {
        mails.configure(config);
        config.http.public_url = Some("https://seat.example.org".to_owned());
        with_flags(config, &FLAGS);
    })
    .await;
    let admin = app.admin().await;
    app.database()
        .execute("update users set name = 'Ada # <b>Lovelace</b>' where email = 'root@example.org'");
    let grace = json!({ "email": "grace@example.org", "name": "Grace" });
    assert_eq!(admin.post("/api/admin/users", &grace).await.status, 201);
    let mail = mails.next().await.raw;
    // The text has the name as it is, the HTML escapes it.
    assert!(mail.contains("Ada # <b>Lovelace</b> invites you to M"), "{mail}");
    assert!(
        mail.contains("Ada # &#60;b&#62;Lovelace&#60;/b&#62; invites you to M"),
        "{mail}"
    );
    assert!(mail.contains("background:#7c3aed"), "{mail}");
    assert!(mail.contains("Help: https://example.org/help?a=b"), "{mail}");
    assert!(
        mail.contains("Imprint: https://seat.example.org/static/imprint.html"),
        "{mail}"
    );
    assert!(!mail.replace("oneseat <seat@", "").contains("oneseat"), "{mail}");

    let path = "/auth/password/forgot";
    let request = app
        .visitor()
        .request(Method::POST, path)
        .json(&json!({ "email": "root@example.org" }));
    assert_eq!(Answer::of(request).await.status, 202);
    let mail = mails.next().await.raw;
    assert!(mail.contains("asked for a new password for M"), "{mail}");
}

#[test]
fn a_wrong_value_is_told_in_one_sentence_with_the_remedy() {
    let page = logo("<html></html>");
    let page = page.path().display();
    for (flag, remedy) in [
        (format!("--site-name={}", "x".repeat(41)), "shorten it to 40"),
        (format!("--site-logo={page}"), "neither SVG nor PNG"),
        (
            "--site-logo=/nowhere/logo.svg".to_owned(),
            "name an SVG or PNG file",
        ),
        (
            "--site-accent=#f59e0b".to_owned(),
            "the nearest colour that has it is #",
        ),
        ("--site-links=Help=javascript:alert(1)".to_owned(), "use https://"),
    ] {
        let wrong = config_of(&[&flag]).unwrap_err().to_string();
        let name = flag.split_once('=').unwrap().0;
        assert!(wrong.starts_with(name) && wrong.contains(remedy), "{wrong}");
        assert_eq!(wrong.lines().count(), 1, "{wrong}");
    }
}

#[test]
fn one_colour_gives_all_that_go_with_it_on_light_and_on_dark_pages() {
    let shades = |[accent, hover, text, wash]: [&str; 4]| Shades {
        accent: accent.to_owned(),
        hover: hover.to_owned(),
        text: text.to_owned(),
        wash: wash.to_owned(),
    };
    let light = shades(["#7c3aed", "#632ebe", "#ffffff", "#f6f1fe"]);
    let site = |flag: &str| config_of(&[flag]).unwrap().site.accent.unwrap();
    let one = site("--site-accent=#7c3aed");
    assert_eq!(
        (one.light, one.dark),
        (
            light.clone(),
            shades(["#a679f3", "#b894f5", "#0e1219", "#282840"])
        )
    );
    let two = site("--site-accent=#7c3aed, #8ab0ff");
    let dark = shades(["#8ab0ff", "#a1c0ff", "#0e1219", "#252f42"]);
    assert_eq!((two.light, two.dark), (light, dark));
}

/// A PNG of one colour.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let row = usize::try_from(width).unwrap().div_ceil(8);
    let pixels = vec![0; row * usize::try_from(height).unwrap()];
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    file
}

#[test]
fn a_png_has_its_greatest_width_and_height_and_no_more() {
    let read = |width, height| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), png(width, height)).unwrap();
        config_of(&[&format!("--site-logo={}", file.path().display())])
    };
    for (width, height) in [(1024, 1024), (1, 1024), (1024, 1)] {
        let logo = read(width, height).unwrap().site.logo.unwrap();
        assert_eq!(
            (logo.format, &*logo.content),
            (LogoFormat::Png, &*png(width, height))
        );
    }
    for (width, height) in [(1025, 1), (1, 1025)] {
        let wrong = read(width, height).unwrap_err().to_string();
        let why = format!("has {width} x {height} pixels; make it 1024 x 1024 or smaller");
        assert!(wrong.ends_with(&why), "{wrong}");
    }
}

#[tokio::test]
async fn search_engines_are_asked_to_stay_away() {
    let answer = App::start().await.visitor().get("/robots.txt").await;
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(
        (answer.status.as_u16(), answer.text.as_str()),
        (200, "User-agent: *\nDisallow: /\n")
    );
}
