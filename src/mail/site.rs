//! The site that mails come from.

use crate::config::SiteConfig;

/// The accent colour of mails where the site has none.
const USUAL_ACCENT: &str = "#1d4ed8";

/// The site, as its mails show it.
#[derive(Clone, Debug)]
pub struct Site {
    /// The name in subjects and words.
    pub name: String,
    /// The address of its pages, without a trailing slash.
    pub url: String,
    /// The colour of buttons, like `#1d4ed8`. White text on it has enough contrast.
    pub accent: String,
    /// Labels and addresses of the links at the foot.
    pub links: Vec<(String, String)>,
}

impl Site {
    /// The site with these settings at this address, without a trailing slash.
    pub fn new(config: &SiteConfig, url: String) -> Self {
        let accent = config.accent.as_ref().map(|accent| accent.light.accent.as_str());
        let links = config.links.iter();
        Self {
            name: config.name.clone(),
            accent: accent.unwrap_or(USUAL_ACCENT).to_owned(),
            links: links
                .map(|link| (link.label.clone(), link.from_outside(&url)))
                .collect(),
            url,
        }
    }
}
