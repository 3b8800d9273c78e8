//! How the site shows itself: its name, logo, accent colour and links.

mod accent;
mod link;
mod logo;

use clap::Args;

pub use accent::{Accent, Shades};
pub use link::SiteLink;
pub use logo::{Logo, LogoFormat};

use super::reader::{Reader, Wrong, given};
use crate::unseen;

/// The name of a site that was given none.
pub const USUAL_NAME: &str = "oneseat";

/// The longest name of a site, in characters.
const LONGEST_NAME: usize = 40;

/// How the site shows itself. Taken by `serve`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Site")]
pub struct SiteSettings {
    /// Name of the site in pages and mails, at most 40 characters [default: oneseat]
    #[arg(long, env = "ONESEAT_SITE_NAME", value_name = "NAME")]
    pub site_name: Option<String>,

    /// Logo of the site: an SVG or PNG file of at most 64 KiB [default: the one of oneseat]
    #[arg(long, env = "ONESEAT_SITE_LOGO", value_name = "FILE")]
    pub site_logo: Option<String>,

    /// Accent colour for light pages, such as `#1d4ed8`, and after a comma the one for dark pages, which is
    /// made from the first if it is left out [default: blue]
    #[arg(long, env = "ONESEAT_SITE_ACCENT", value_name = "COLOUR")]
    pub site_accent: Option<String>,

    /// Links at the foot of pages and mails, such as `Help=https://example.org/help,Imprint=/static/imprint.html`:
    /// https, mailto, or a path of this site [default: none]
    #[arg(long, env = "ONESEAT_SITE_LINKS", value_name = "LINKS")]
    pub site_links: Option<String>,
}

/// How the site shows itself.
#[derive(Clone, Debug)]
pub struct SiteConfig {
    /// The name: 1 to 40 visible characters.
    pub name: String,
    /// The logo. `None`: the logo of oneseat.
    pub logo: Option<Logo>,
    /// The accent colours. `None`: the blue of the stylesheet.
    pub accent: Option<Accent>,
    /// The links: at most eight.
    pub links: Vec<SiteLink>,
}

impl SiteConfig {
    pub(super) fn read(reader: &mut Reader, settings: &SiteSettings) -> Option<Self> {
        let name = given(&settings.site_name).unwrap_or(USUAL_NAME);
        let name = reader.read("--site-name", name, site_name);
        let logo = reader.read_given("--site-logo", &settings.site_logo, Logo::read);
        let accent = reader.read_given("--site-accent", &settings.site_accent, Accent::read);
        let links = reader.read_given("--site-links", &settings.site_links, link::list);
        Some(Self {
            name: name?,
            logo: logo?,
            accent: accent?,
            links: links?.unwrap_or_default(),
        })
    }
}

/// Reads a short text for people.
fn visible(raw: &str, longest: usize) -> Result<String, Wrong> {
    match raw.chars().count() {
        _ if unseen::of_text(raw).next().is_some() => {
            Err(Wrong::new("has characters that nobody can see", "leave them out"))
        }
        0 => Err(Wrong::new("is empty", "write at least one character")),
        long if long > longest => Err(Wrong::new(
            format!("has {long} characters"),
            format!("shorten it to {longest} or fewer"),
        )),
        _ => Ok(raw.to_owned()),
    }
}

fn site_name(raw: &str) -> Result<String, String> {
    visible(raw, LONGEST_NAME).map_err(|wrong| wrong.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_visible() {
        let longest = "ä".repeat(LONGEST_NAME);
        for name in ["Example", "Müller & Töchter", "日本", &longest] {
            assert_eq!(site_name(name).as_deref(), Ok(name));
        }
        let (long, why) = ("x".repeat(41), "has 41 characters; shorten it to 40 or fewer");
        assert_eq!(site_name(&long), Err(why.to_owned()));
        for name in ["", "a\nb", "a\u{202e}b", "\u{feff}", "a\u{7f}"] {
            assert!(site_name(name).is_err(), "{name:?}");
        }
    }
}
