//! Stylesheets, scripts and images: the built-in ones, and the operator's.

use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::Path;

use flate2::read::GzDecoder;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use reqwest::Method;

use crate::support::{Answer, App, Client};

/// The digest of a version that never existed.
const OTHER_VERSION: &str = "/static/0123456789abcdef";

const FOR_GOOD: &str = "public, max-age=31536000, immutable";

/// A file as in the source tree, but without the comments of scripts and stylesheets.
fn source(name: &str) -> String {
    let directory = if name.starts_with("oneseat.") && !name.ends_with(".css") {
        "clients/js"
    } else {
        "static"
    };
    let text = std::fs::read_to_string(format!("{}/{directory}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    if !name.ends_with(".css") && !name.ends_with(".js") {
        return text;
    }
    let (mut code, mut comment) = (String::new(), false);
    for line in text.lines().map(str::trim) {
        comment |= line.starts_with("/*");
        if !comment && !line.is_empty() && !line.starts_with("//") {
            code += &format!("{line}\n");
        }
        comment &= !line.ends_with("*/");
    }
    code
}

async fn ask(client: &Client, method: Method, path: &str, header: (&str, &str)) -> Answer {
    Answer::of(client.request(method, path).header(header.0, header.1)).await
}

/// What pages name in these attributes.
fn named_in(page: &str) -> Vec<&str> {
    let values = |attribute| page.split(attribute).skip(1);
    values("href=\"")
        .chain(values("src=\""))
        .filter_map(|rest| rest.split('"').next())
        .filter(|address| address.starts_with("/static/"))
        .collect()
}

#[tokio::test]
async fn a_static_file_is_asked_for_again_and_sent_once() {
    let app = App::start().await;
    let visitor = app.visitor();
    for (name, content_type) in [
        ("oneseat.css", "text/css; charset=utf-8"),
        ("oneseat.js", "text/javascript; charset=utf-8"),
        ("oneseat.d.ts", "text/plain; charset=utf-8"),
        ("icon.svg", "image/svg+xml; charset=utf-8"),
    ] {
        let path = &format!("/static/{name}");
        let file = source(name);
        let first = visitor.get(path).await;
        assert_eq!((first.status.as_u16(), &first.text), (200, &file));
        assert_eq!(first.header("content-type"), content_type);
        let head = Answer::of(visitor.request(Method::HEAD, path)).await;
        assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
        for name in ["content-type", "content-length", "etag", "cache-control", "vary"] {
            assert_eq!(head.header(name), first.header(name), "{name}");
        }

        let etag = first.header("etag");
        for known in [
            etag.to_owned(),
            format!("W/{etag}"),
            format!("\"x\", {etag}"),
            "*".to_owned(),
        ] {
            let again = ask(&visitor, Method::GET, path, ("If-None-Match", &known)).await;
            assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""), "{known}");
            for name in ["etag", "cache-control", "vary"] {
                assert_eq!(again.header(name), first.header(name), "{name}");
            }
            assert_eq!(again.header("cache-control"), "no-cache");
        }
        let other = ask(&visitor, Method::GET, path, ("If-None-Match", "\"x\"")).await;
        assert_eq!((other.status.as_u16(), other.text), (200, file));
    }
}

#[tokio::test]
async fn pages_name_their_files_by_addresses_that_are_kept_for_good() {
    let app = App::start().await;
    let visitor = app.visitor();
    for (page, script) in [("/login", "/pages.js"), ("/forgot", "/account.js")] {
        let page = visitor.get(page).await.text;
        let addresses = named_in(&page);
        assert!(addresses.len() > 4 && addresses.iter().any(|address| address.ends_with(script)));
        for address in addresses {
            let [_, "static", version, name] = address.split('/').collect::<Vec<_>>()[..] else {
                panic!("{address}");
            };
            assert!(version.len() == 16 && version.bytes().all(|digit| digit.is_ascii_hexdigit()));
            let kept = visitor.get(address).await;
            assert_eq!((kept.status.as_u16(), kept.text), (200, source(name)));
            assert_eq!(kept.headers["cache-control"], FOR_GOOD);
            assert_eq!(kept.headers["x-content-type-options"], "nosniff");
            assert!(kept.headers.contains_key("content-security-policy"));
            let etag = kept.headers["etag"].to_str().unwrap();
            let known = ask(&visitor, Method::GET, address, ("If-None-Match", etag)).await;
            assert_eq!(
                (known.status.as_u16(), known.header("cache-control")),
                (304, FOR_GOOD)
            );
            let nothing = visitor.get(&format!("/static/{version}/nothing.js")).await;
            assert_eq!(nothing.problem(), "404 not_found");
        }
    }
}

#[tokio::test]
async fn a_page_of_another_version_gets_the_files_of_this_one_and_asks_again() {
    let app = App::start().await;
    let answer = app.visitor().get(&format!("{OTHER_VERSION}/pages.js")).await;
    assert_eq!((answer.status.as_u16(), &answer.text), (200, &source("pages.js")));
    assert_eq!(answer.header("cache-control"), "no-cache");
    for path in [
        "/static/0123456789abcde/pages.js",
        "/static/0123456789ABCDEF/pages.js",
    ] {
        assert_eq!(app.visitor().get(path).await.problem(), "404 not_found", "{path}");
    }
}

#[tokio::test]
async fn files_are_sent_in_the_smallest_form_that_the_client_takes() {
    let app = App::start().await;
    let visitor = app.visitor();
    for path in ["/static/oneseat.js", "/static/oneseat.css"] {
        let plain = visitor.get(path).await;
        let mut sizes = Vec::new();
        for (taken, encoding) in [
            ("gzip, deflate, br, zstd", "br"),
            ("br, gzip;q=0.5", "br"),
            ("gzip", "gzip"),
        ] {
            let request = visitor
                .request(Method::GET, path)
                .header("Accept-Encoding", taken);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.headers()["content-encoding"], encoding, "{path} {taken}");
            let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
            let bytes = answer.bytes().await.unwrap();
            if encoding == "br" {
                let mut text = Vec::new();
                brotli::BrotliDecompress(&mut &*bytes, &mut text).unwrap();
                assert_eq!(text, plain.text.as_bytes(), "{path}");
            }
            sizes.push((bytes.len(), etag));
        }
        assert_eq!(sizes[0], sizes[1]);
        assert!(sizes[1].0 < sizes[2].0 && sizes[1].1 != sizes[2].1, "{sizes:?}");
    }
}

#[tokio::test]
async fn pages_are_sent_compressed_to_those_who_take_them_so() {
    let app = App::start().await;
    let ada = app.signed_in("ada").await;
    for (path, accept) in [
        ("/login", "*/*"),
        ("/dashboard", "*/*"),
        ("/nowhere", "text/html"),
    ] {
        // Of the second, the words differ with the time.
        let plain = match path {
            "/nowhere" => ask(&app.visitor(), Method::GET, path, ("Accept", accept)).await,
            _ => ada.get(path).await,
        };
        let client = if path == "/nowhere" {
            app.visitor()
        } else {
            ada.clone()
        };
        let request = client
            .request(Method::GET, path)
            .header("Accept", accept)
            .header("Accept-Encoding", "gzip, br");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["content-encoding"], "gzip", "{path}");
        assert!(
            answer.headers()["vary"]
                .to_str()
                .unwrap()
                .contains("accept-encoding"),
            "{path}"
        );
        let mut text = String::new();
        GzDecoder::new(&*answer.bytes().await.unwrap())
            .read_to_string(&mut text)
            .unwrap();
        let title = |page: &str| {
            page.split("<title>")
                .nth(1)
                .unwrap()
                .split('<')
                .next()
                .unwrap()
                .to_owned()
        };
        assert_eq!(title(&text), title(&plain.text), "{path}");
    }
}

#[tokio::test]
async fn files_are_sent_compressed_to_those_who_take_them_so() {
    let app = App::start().await;
    let visitor = app.visitor();
    for path in [
        "/static/oneseat.js",
        &format!("{OTHER_VERSION}/oneseat.css"),
        "/docs/api/",
        "/docs/api/swagger-ui-bundle.js",
    ] {
        let plain = visitor.get(path).await;
        let content_type = plain.header("content-type");
        assert!(
            content_type.ends_with("; charset=utf-8"),
            "{path}: {content_type}"
        );
        for refused in [
            "",
            "identity",
            "zstd",
            "gzip;q=0",
            "*;q=0",
            "gzip;q=0.1, identity",
            "nonsense;;",
        ] {
            let answer = ask(&visitor, Method::GET, path, ("Accept-Encoding", refused)).await;
            assert_eq!(answer.text, plain.text, "{path} {refused}");
            for name in ["etag", "vary", "content-length", "content-encoding"] {
                assert_eq!(answer.header(name), plain.header(name), "{path} {refused} {name}");
            }
        }
        assert_eq!(
            (plain.header("content-encoding"), plain.header("vary")),
            ("", "Accept-Encoding")
        );
        for taken in [
            "gzip",
            "gzip, deflate, zstd",
            "br;q=0.4, gzip;q=0.5",
            "gzip, identity;q=0",
        ] {
            let request = visitor
                .request(Method::GET, path)
                .header("Accept-Encoding", taken);
            let answer = request.send().await.unwrap();
            let headers = answer.headers().clone();
            assert_eq!(headers["content-encoding"], "gzip", "{path} {taken}");
            assert_eq!(headers["vary"], "Accept-Encoding", "{path} {taken}");
            assert_eq!(headers["content-type"], content_type, "{path}");
            let bytes = answer.bytes().await.unwrap();
            assert!(bytes.len() < plain.text.len(), "{path}");
            let mut text = String::new();
            GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
            assert_eq!(text, plain.text, "{path}");

            let head = ask(&visitor, Method::HEAD, path, ("Accept-Encoding", taken)).await;
            assert_eq!(head.header("content-length"), bytes.len().to_string(), "{path}");
            // The compressed form is another one, with a tag of its own.
            for (etag, status) in [
                (headers["etag"].to_str().unwrap(), 304),
                (plain.header("etag"), 200),
            ] {
                let request = visitor
                    .request(Method::HEAD, path)
                    .header("Accept-Encoding", taken);
                let answer = Answer::of(request.header("If-None-Match", etag)).await;
                assert_eq!(answer.status, status, "{path} {etag}");
                assert_eq!(answer.header("vary"), "Accept-Encoding", "{path}");
            }
        }
    }
    // An image is compressed already.
    let image = ask(
        &visitor,
        Method::HEAD,
        "/docs/api/favicon-32x32.png",
        ("Accept-Encoding", "gzip"),
    )
    .await;
    assert_eq!((image.header("content-encoding"), image.header("vary")), ("", ""));
}

#[tokio::test]
async fn pages_of_other_origins_find_the_module_at_its_plain_address() {
    const ORIGIN: &str = "https://app.example.org";
    let app = App::start_with(|config| config.http.cors_origins = vec![ORIGIN.to_owned()]).await;
    let module = ask(
        &app.visitor(),
        Method::GET,
        "/static/oneseat.js",
        ("Origin", ORIGIN),
    )
    .await;
    assert_eq!(
        (module.status.as_u16(), &module.text),
        (200, &source("oneseat.js"))
    );
    assert_eq!(module.header("access-control-allow-origin"), ORIGIN);
    assert_eq!(module.header("cache-control"), "no-cache");
    let vary = module.header("vary");
    assert!(
        vary.contains("Accept-Encoding") && vary.contains("Origin"),
        "{vary}"
    );
}

/// An instance whose operator has put files into this directory, some with the names of built-in files.
async fn app_with(directory: &Path) -> App {
    App::start_with(|config| config.http.static_dir = Some(directory.to_owned())).await
}

#[tokio::test]
async fn a_file_of_the_operators_comes_before_the_carried_one_and_is_never_kept_unasked() {
    let own = tempfile::tempdir().unwrap();
    let app = app_with(own.path()).await;
    let visitor = app.visitor();
    let page = visitor.get("/login").await.text;
    let addresses = named_in(&page);
    assert!(addresses.contains(&"/static/oneseat.css"), "{addresses:?}");
    assert!(addresses.iter().all(|address| address.matches('/').count() == 2));
    let version = named_in(&App::start().await.visitor().get("/login").await.text)[0].to_owned();
    let version = version.rsplit_once('/').unwrap().0;

    for own_css in [None, Some("a {}"), Some("b {}"), None] {
        match own_css {
            Some(css) => std::fs::write(own.path().join("oneseat.css"), css).unwrap(),
            None => drop(std::fs::remove_file(own.path().join("oneseat.css"))),
        }
        let expected = own_css.map_or_else(|| source("oneseat.css"), ToOwned::to_owned);
        for base in ["/static", version, OTHER_VERSION] {
            let answer = visitor.get(&format!("{base}/oneseat.css")).await;
            assert_eq!((answer.status.as_u16(), &answer.text), (200, &expected), "{base}");
            assert_eq!(answer.header("cache-control"), "no-cache", "{base}");
            assert_eq!(answer.header("content-type"), "text/css; charset=utf-8", "{base}");
        }
        assert_eq!(visitor.get("/static/oneseat.js").await.text, source("oneseat.js"));
    }
}

#[tokio::test]
async fn a_logo_of_the_operators_is_served_whole_in_part_and_only_when_it_has_changed() {
    let own = tempfile::tempdir().unwrap();
    std::fs::create_dir(own.path().join("brand")).unwrap();
    std::fs::write(own.path().join("brand/logo.webp"), "0123456789").unwrap();
    let app = app_with(own.path()).await;
    let (visitor, path) = (app.visitor(), "/static/brand/logo.webp");
    let whole = visitor.get(path).await;
    assert_eq!((whole.status.as_u16(), whole.text.as_str()), (200, "0123456789"));
    for (name, value) in [
        ("content-type", "image/webp"),
        ("accept-ranges", "bytes"),
        ("cache-control", "no-cache"),
        ("content-disposition", ""),
    ] {
        assert_eq!(whole.header(name), value, "{name}");
    }
    let head = Answer::of(visitor.request(Method::HEAD, path)).await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "10"));

    let part = ask(&visitor, Method::GET, path, ("Range", "bytes=2-4")).await;
    assert_eq!((part.status.as_u16(), part.text.as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), "bytes 2-4/10");
    let beyond = ask(&visitor, Method::GET, path, ("Range", "bytes=10-")).await;
    assert_eq!(beyond.status, 416);

    let etag = whole.header("etag");
    let modified = whole.header("last-modified");
    for (name, value, status) in [
        ("If-None-Match", etag, 304),
        ("If-None-Match", "\"x\"", 200),
        ("If-Modified-Since", modified, 304),
        ("If-Modified-Since", "Thu, 01 Jan 1998 00:00:00 GMT", 200),
    ] {
        let answer = ask(&visitor, Method::GET, path, (name, value)).await;
        assert_eq!(answer.status, status, "{name}: {value}");
        assert_eq!(answer.header("cache-control"), "no-cache", "{name}: {value}");
    }
}

#[tokio::test]
async fn only_what_lies_in_the_operators_directory_is_served_and_nothing_hidden() {
    let around = tempfile::tempdir().unwrap();
    let own = around.path().join("static");
    std::fs::create_dir_all(own.join("brand/.git")).unwrap();
    std::fs::write(around.path().join("secret.js"), "canary").unwrap();
    for hidden in [".hidden.js", "brand/.git/config"] {
        std::fs::write(own.join(hidden), "canary").unwrap();
    }
    std::fs::write(own.join("brand/logo.svg"), "logo").unwrap();
    symlink("brand/logo.svg", own.join("within.svg")).unwrap();
    symlink("../secret.js", own.join("outside.js")).unwrap();
    symlink(around.path(), own.join("around")).unwrap();
    mkfifo(&own.join("pipe"), Mode::S_IRWXU).unwrap();
    let app = app_with(&own).await;
    assert_eq!(app.visitor().get("/static/within.svg").await.text, "logo");
    for path in [
        "",
        ".",
        "brand",
        "brand/",
        "pipe",
        "outside.js",
        "around/secret.js",
        "%2e%2e%2fsecret.js",
        "..%2fsecret.js",
        "..%5csecret.js",
        "%252e%252e%252fsecret.js",
        "brand/%2e%2e/%2e%2e/secret.js",
        ".hidden.js",
        "%2ehidden.js",
        "brand/.git/config",
        "brand/../.hidden.js",
        "0123456789abcdef/..%2f..%2fsecret.js",
    ] {
        let answer = app.visitor().get(&format!("/static/{path}")).await;
        assert_eq!(answer.problem(), "404 not_found", "{path}");
    }
}
