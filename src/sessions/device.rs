//! A user agent in plain words: enough to recognise your own browser.
//!
//! `ua-parser` does the matching; the tables are short on purpose. Browsers that build on another one name it
//! too, so the most specific patterns come first.

use std::fmt;
use std::sync::LazyLock;

use ua_parser::{os, user_agent};

/// Each pattern has the name as its first group and the major version as its second. With it comes the
/// browser's usual name.
const BROWSERS: [(&str, &str); 10] = [
    (r"(Edg(?:e|A|iOS)?)/(\d+)", "Edge"),
    (r"(OPR)/(\d+)", "Opera"),
    (r"(Vivaldi)/(\d+)", "Vivaldi"),
    (r"(SamsungBrowser)/(\d+)", "Samsung Internet"),
    (r"(YaBrowser)/(\d+)", "Yandex Browser"),
    (r"(Firefox|FxiOS)/(\d+)", "Firefox"),
    (r"(CriOS)/(\d+)", "Chrome"),
    (r"(HeadlessChrome)/(\d+)", "Headless Chrome"),
    (r"(Chrome)/(\d+)", "Chrome"),
    (r"(Version)/(\d+)\S* (?:Mobile/\S+ )?Safari/", "Safari"),
];

/// The same for programs and the libraries that they are made with. Without a second group no version
/// is told: there is none, or it is that of something else, such as HTTP.
const PROGRAMS: [(&str, &str); 36] = [
    (r"^(curl)/(\d+)", "curl"),
    (r"^(Wget2?)/(\d+)", "Wget"),
    (r"^(HTTPie)/(\d+)", "HTTPie"),
    (r"^(xh)/(\d+)", "xh"),
    (r"(PostmanRuntime)/(\d+)", "Postman"),
    (r"^(insomnia)/(\d+)", "Insomnia"),
    (r"^(bruno-runtime)/(\d+)", "Bruno"),
    (r"(PowerShell)/(\d+)", "PowerShell"),
    (r"^(python-requests)/(\d+)", "Python Requests"),
    (r"^(python-httpx)/", "HTTPX (Python)"),
    (r"(aiohttp)/", "aiohttp (Python)"),
    (r"^(python-urllib3)/", "urllib3 (Python)"),
    (r"^(Python(?:-urllib)?)/(\d+)", "Python"),
    (r"^(Go-http-client)/", "A Go program"),
    (r"^(axios)/", "axios (Node.js)"),
    (r"^(node-fetch)", "node-fetch (Node.js)"),
    (r"^(got) \(", "got (Node.js)"),
    (r"^(undici|node)$", "Node.js"),
    (r"^(Node\.js)/(\d+)", "Node.js"),
    (r"^(Deno)/(\d+)", "Deno"),
    (r"^(Bun)/(\d+)", "Bun"),
    (r"^(okhttp)/", "OkHttp (Android or Java)"),
    (r"^(Dalvik)/", "An app"),
    (r"(CFNetwork)/", "An app (iPhone, iPad or Mac)"),
    (r"^(Dart)/(\d+)", "Dart"),
    (r"^(Apache-HttpClient)/", "Apache HttpClient (Java)"),
    (r"^(Java(?:-http-client)?)/(\d+)", "Java"),
    (r"^(Ruby)$", "Ruby"),
    (r"^(Faraday) v", "Faraday (Ruby)"),
    (r"^(GuzzleHttp)/", "Guzzle (PHP)"),
    (r"^(libwww-perl)/(\d+)", "Perl"),
    (r"^(reqwest)/", "reqwest (Rust)"),
    (r"^(hyper)/", "hyper (Rust)"),
    (r"^(RestSharp)/", "RestSharp (.NET)"),
    (r"(k6)/(\d+)", "k6"),
    (r"^(ApacheBench)/(\d+)", "ApacheBench"),
];

/// A pattern and the system's usual name. The version is left out: browsers freeze or invent it.
const SYSTEMS: [(&str, &str); 8] = [
    (r"Windows", "Windows"),
    (r"Android", "Android"),
    (r"iPhone", "iPhone"),
    (r"iPad", "iPad"),
    (r"Macintosh|Mac OS X", "macOS"),
    (r"CrOS", "ChromeOS"),
    (r"FreeBSD|OpenBSD|NetBSD", "BSD"),
    (r"Linux", "Linux"),
];

static BROWSER: LazyLock<Option<user_agent::Extractor<'static>>> = LazyLock::new(|| extractor(&BROWSERS));

static PROGRAM: LazyLock<Option<user_agent::Extractor<'static>>> = LazyLock::new(|| extractor(&PROGRAMS));

fn extractor(table: &[(&'static str, &'static str)]) -> Option<user_agent::Extractor<'static>> {
    let parsers = table.iter().map(|(regex, name)| user_agent::Parser {
        regex: (*regex).into(),
        family_replacement: Some((*name).into()),
        ..Default::default()
    });
    let builder = user_agent::Builder::new().push_all(parsers).ok()?;
    builder.build().ok()
}

static SYSTEM: LazyLock<Option<os::Extractor<'static>>> = LazyLock::new(|| {
    let parsers = SYSTEMS.map(|(regex, name)| os::Parser {
        regex: regex.into(),
        os_replacement: Some(name.into()),
        ..Default::default()
    });
    let builder = os::Builder::new().push_all(parsers).ok()?;
    builder.build().ok()
});

/// What sends a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Browser,
    Program,
}

/// A browser or a program, and a system, as far as known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    sender: Sender,
    name: Option<String>,
    version: Option<String>,
    system: Option<String>,
}

impl Device {
    /// The device that sends this header.
    pub fn of(user_agent: Option<&str>) -> Self {
        let text = user_agent.unwrap_or_default();
        let named = |sender, known: &'static Option<user_agent::Extractor<'static>>| {
            let found = known.as_ref()?.extract(text)?;
            Some((sender, found.family.into_owned(), found.major.map(str::to_owned)))
        };
        let named = named(Sender::Browser, &BROWSER).or_else(|| named(Sender::Program, &PROGRAM));
        let (sender, name, version) = match named {
            Some((sender, name, version)) => (sender, Some(name), version),
            // Every browser begins with one of these.
            None if text.starts_with("Mozilla/") || text.starts_with("Opera/") => {
                (Sender::Browser, None, None)
            }
            None => (Sender::Program, None, None),
        };
        let system = SYSTEM.as_ref().and_then(|known| known.extract(text));
        Self {
            sender,
            name,
            version,
            system: system.map(|system| system.os.into_owned()),
        }
    }

    /// The kind of device, as the name of its picture in `static/devices.svg`.
    pub fn kind(&self) -> &'static str {
        match (self.system.as_deref(), self.sender) {
            (Some("Android" | "iPhone"), _) => "phone",
            (Some("iPad"), _) => "tablet",
            (_, Sender::Program) => "program",
            (Some(_), Sender::Browser) => "computer",
            (None, Sender::Browser) => "unknown",
        }
    }

    /// The device without a version.
    pub fn without_version(self) -> Self {
        Self {
            version: None,
            ..self
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.sender, &self.system) {
            (Some(name), _, _) => f.write_str(name)?,
            (None, Sender::Browser, Some(system)) => return f.write_str(system),
            (None, Sender::Browser, None) => f.write_str("An unknown browser")?,
            (None, Sender::Program, _) => f.write_str("An unknown program")?,
        }
        if let Some(version) = &self.version {
            write!(f, " {version}")?;
        }
        match &self.system {
            Some(system) => write!(f, " on {system}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_device_has_its_picture() {
        let pictures = include_str!("../../static/devices.svg");
        for (user_agent, kind) in [
            ("Mozilla/5.0 (X11; Linux x86_64) Chrome/141.0.0.0", "computer"),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)", "phone"),
            ("Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X)", "tablet"),
            ("curl/8.5.0", "program"),
            ("okhttp/4.12.0", "program"),
            ("Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/UQ1A)", "phone"),
            ("", "program"),
            ("Mozilla/5.0", "unknown"),
        ] {
            assert_eq!(Device::of(Some(user_agent)).kind(), kind);
            assert!(pictures.contains(&format!("<symbol id=\"{kind}\"")), "{kind}");
        }
    }

    #[test]
    fn usual_browsers_are_named_as_people_name_them() {
        const WEBKIT: &str = "AppleWebKit/537.36 (KHTML, like Gecko)";
        for (user_agent, words) in [
            (format!("Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} Chrome/141.0.0.0 Safari/537.36"), "Chrome 141 on Linux"),
            (format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0"), "Edge 141 on Windows"),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:144.0) Gecko/20100101 Firefox/144.0".to_owned(), "Firefox 144 on macOS"),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1".to_owned(), "Safari 18 on iPhone"),
            (format!("Mozilla/5.0 (Linux; Android 15) {WEBKIT} Chrome/141.0.0.0 Mobile Safari/537.36"), "Chrome 141 on Android"),
            ("Mozilla/5.0 (compatible)".to_owned(), "An unknown browser"),
            ("Mozilla/5.0 (X11; Linux x86_64) Something/1.0".to_owned(), "Linux"),
        ] {
            assert_eq!(Device::of(Some(&user_agent)).to_string(), words);
        }
    }

    #[test]
    fn programs_are_named_and_are_no_browsers() {
        for (user_agent, words) in [
            ("curl/8.5.0", "curl 8"),
            ("Wget/1.21.4", "Wget 1"),
            ("HTTPie/3.2.2", "HTTPie 3"),
            ("PostmanRuntime/7.43.0", "Postman 7"),
            ("python-requests/2.32.3", "Python Requests 2"),
            ("python-httpx/0.28.1", "HTTPX (Python)"),
            ("Python/3.12 aiohttp/3.11.11", "aiohttp (Python)"),
            ("Python-urllib/3.12", "Python 3"),
            ("Go-http-client/1.1", "A Go program"),
            ("Go-http-client/2.0", "A Go program"),
            ("axios/1.7.9", "axios (Node.js)"),
            ("node", "Node.js"),
            (
                "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)",
                "node-fetch (Node.js)",
            ),
            ("got (https://github.com/sindresorhus/got)", "got (Node.js)"),
            ("okhttp/4.12.0", "OkHttp (Android or Java)"),
            ("Dart/3.5 (dart:io)", "Dart 3"),
            ("Java/21.0.5", "Java 21"),
            ("Java-http-client/21.0.5", "Java 21"),
            (
                "Apache-HttpClient/4.5.14 (Java/17.0.13)",
                "Apache HttpClient (Java)",
            ),
            (
                "Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/UQ1A)",
                "An app on Android",
            ),
            (
                "Seat/7 CFNetwork/1568.200.51 Darwin/24.1.0",
                "An app (iPhone, iPad or Mac)",
            ),
            (
                "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041",
                "PowerShell 5 on Windows",
            ),
            ("Seat/7.1 (Linux)", "An unknown program on Linux"),
            ("<script>alert(1)</script>", "An unknown program"),
            ("I am curl/8", "An unknown program"),
            ("", "An unknown program"),
        ] {
            assert_eq!(Device::of(Some(user_agent)).to_string(), words, "{user_agent}");
        }
        assert_eq!(Device::of(None).to_string(), "An unknown program");
    }
}
