//! The site as its pages show it: its name, its links, and the files that are made from its settings.
//!
//! They are served like the carried files ([`super::static_files`]): under an address with their digest, which browsers keep
//! for good.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use crate::config::{Accent, Logo, Shades, SiteConfig, SiteLink, USUAL_NAME};
use crate::web::problem::Problem;
use crate::web::static_files::{self, File, Keep};

/// The stylesheet that holds the accent colour. The policy of the pages allows no style in them.
const STYLESHEET: &str = "site.css";

/// An image runs no script, loads nothing, and is no page of this origin even when it is opened alone.
const IMAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'";

/// The site as its pages show it.
pub(in crate::web) struct Site {
    name: String,
    links: Vec<SiteLink>,
    logo: Option<SiteFile>,
    stylesheet: Option<SiteFile>,
}

/// A file that is made from the settings.
struct SiteFile {
    name: String,
    file: File,
}

impl SiteFile {
    fn new(name: String, file: File) -> Self {
        Self { name, file }
    }

    fn address(&self) -> String {
        format!("/site/{}/{}", self.file.version(), self.name)
    }
}

impl Site {
    pub(in crate::web) fn of(config: &SiteConfig) -> Self {
        let logo = |Logo { format, content }: &Logo| {
            SiteFile::new(format!("logo.{}", format.ending()), File::of(content.to_vec()))
        };
        let stylesheet = |accent| SiteFile::new(STYLESHEET.to_owned(), File::of(sheet(accent)));
        Self {
            name: config.name.clone(),
            links: config.links.clone(),
            logo: config.logo.as_ref().map(logo),
            stylesheet: config.accent.as_ref().map(stylesheet),
        }
    }

    /// The site's name.
    pub(in crate::web) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the site has the default name.
    pub(in crate::web) fn has_usual_name(&self) -> bool {
        self.name == USUAL_NAME
    }

    /// The links at the foot of a page.
    pub(in crate::web) fn links(&self) -> &[SiteLink] {
        &self.links
    }

    /// The address of the logo. `files` is the address of the carried files.
    pub(in crate::web) fn logo(&self, files: &str) -> String {
        self.logo
            .as_ref()
            .map_or_else(|| format!("{files}/icon.svg"), SiteFile::address)
    }

    /// The address of the stylesheet, if there is one.
    pub(in crate::web) fn stylesheet(&self) -> Option<String> {
        self.stylesheet.as_ref().map(SiteFile::address)
    }
}

/// The stylesheet with the colours that replace those of `oneseat.css`.
fn sheet(accent: &Accent) -> String {
    let properties = |Shades {
                          accent,
                          hover,
                          text,
                          wash,
                      }: &Shades| {
        format!(
            ":root {{ --accent: {accent}; --accent-hover: {hover}; --on-accent: {text}; --wash: {wash}; }}"
        )
    };
    let (light, dark) = (properties(&accent.light), properties(&accent.dark));
    format!("{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n")
}

/// `GET /site/{version}/{name}`
pub(in crate::web) async fn file(
    request: HttpRequest,
    asked: Path<(String, String)>,
    site: Data<Site>,
) -> Result<HttpResponse, Problem> {
    let (version, name) = asked.into_inner();
    let mut files = site.logo.iter().chain(&site.stylesheet);
    let found = files
        .find(|file| file.name == name)
        .ok_or_else(Problem::not_found)?;
    // A page of another instance, which has other settings, gets what this one has.
    let is_for_good = found.file.version() == version;
    let keep = if is_for_good { Keep::ForGood } else { Keep::AndAsk };
    let answer = found.file.answer(&request, &name, keep);
    Ok(if name == STYLESHEET {
        answer
    } else {
        as_image(answer)
    })
}

/// `GET /favicon.ico`: the logo, for what shows no page, such as a list of bookmarks.
pub(in crate::web) async fn favicon(request: HttpRequest, site: Data<Site>) -> Result<HttpResponse, Problem> {
    let answer = match &site.logo {
        Some(logo) => logo.file.answer(&request, &logo.name, Keep::AndAsk),
        None => static_files::carried(&request, "icon.svg").ok_or_else(Problem::not_found)?,
    };
    Ok(as_image(answer))
}

/// `GET /robots.txt` (RFC 9309): no search engine needs to know the pages of a sign-in.
pub(in crate::web) async fn robots() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((CACHE_CONTROL, "max-age=86400"))
        .body("User-agent: *\nDisallow: /\n")
}

fn as_image(mut answer: HttpResponse) -> HttpResponse {
    let policy = HeaderValue::from_static(IMAGE_POLICY);
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    answer
}
