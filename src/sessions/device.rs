//! A user agent in plain words: enough to recognise your own browser.
//!
//! `ua-parser` does the matching; the table is short on purpose. Browsers that build on another one name it
//! too, so the most specific patterns come first.

use std::fmt;
use std::sync::LazyLock;

use ua_parser::{os, user_agent};

/// Each pattern has the name as its first group and the major version as its second. With it comes the
/// browser's usual name.
const BROWSERS: [(&str, &str); 14] = [
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
    (r"(curl)/(\d+)", "curl"),
    (r"(Wget)/(\d+)", "Wget"),
    (r"(python-requests)/(\d+)", "Python Requests"),
    (r"(PostmanRuntime)/(\d+)", "Postman"),
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

static BROWSER: LazyLock<Option<user_agent::Extractor<'static>>> = LazyLock::new(|| {
    let parsers = BROWSERS.map(|(regex, name)| user_agent::Parser {
        regex: regex.into(),
        family_replacement: Some(name.into()),
        ..Default::default()
    });
    let builder = user_agent::Builder::new().push_all(parsers).ok()?;
    builder.build().ok()
});

static SYSTEM: LazyLock<Option<os::Extractor<'static>>> = LazyLock::new(|| {
    let parsers = SYSTEMS.map(|(regex, name)| os::Parser {
        regex: regex.into(),
        os_replacement: Some(name.into()),
        ..Default::default()
    });
    let builder = os::Builder::new().push_all(parsers).ok()?;
    builder.build().ok()
});

/// A browser and a system, as far as known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    browser: Option<String>,
    version: Option<String>,
    system: Option<String>,
}

impl Device {
    /// The device that sends this header.
    pub fn of(user_agent: Option<&str>) -> Self {
        let text = user_agent.unwrap_or_default();
        let browser = BROWSER.as_ref().and_then(|known| known.extract(text));
        let system = SYSTEM.as_ref().and_then(|known| known.extract(text));
        let (browser, version) = match browser {
            Some(browser) => (Some(browser.family.into_owned()), browser.major),
            None => (None, None),
        };
        Self {
            browser,
            version: version.map(str::to_owned),
            system: system.map(|system| system.os.into_owned()),
        }
    }

    /// The kind of device, as the name of its picture in `static/devices.svg`.
    pub fn kind(&self) -> &'static str {
        match (self.system.as_deref(), self.browser.as_deref()) {
            (Some("Android" | "iPhone"), _) => "phone",
            (Some("iPad"), _) => "tablet",
            (_, Some("curl" | "Wget" | "Python Requests" | "Postman")) => "program",
            (Some(_), _) => "computer",
            (None, _) => "unknown",
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
        match (&self.browser, &self.system) {
            (Some(browser), _) => f.write_str(browser)?,
            (None, Some(system)) => return f.write_str(system),
            (None, None) => return f.write_str("An unknown browser"),
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
            ("", "unknown"),
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
            ("curl/8.5.0".to_owned(), "curl 8"),
            ("<script>alert(1)</script>".to_owned(), "An unknown browser"),
        ] {
            assert_eq!(Device::of(Some(&user_agent)).to_string(), words);
        }
        assert_eq!(Device::of(None).to_string(), "An unknown browser");
    }
}
