//! Links at the foot of pages and mails.

use url::Url;

use super::super::reader::{self, Wrong};
use super::visible;

/// The most links.
const MOST: usize = 8;
/// The longest label, in characters.
const LONGEST_LABEL: usize = 40;
/// The longest address, in bytes.
const LONGEST_ADDRESS: usize = 500;

/// A link at the foot of pages and mails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteLink {
    /// What people read: 1 to 40 visible characters.
    pub label: String,
    /// `https:`, `mailto:`, or a path of this site, which begins with one slash.
    pub address: String,
}

impl SiteLink {
    /// The whole address, for a mail, where a path alone leads nowhere. `public_url` ends without a slash.
    pub fn from_outside(&self, public_url: &str) -> String {
        match self.address.strip_prefix('/') {
            Some(path) => format!("{public_url}/{path}"),
            None => self.address.clone(),
        }
    }
}

/// Reads a comma-separated list of links.
pub(super) fn list(raw: &str) -> Result<Vec<SiteLink>, String> {
    let count = reader::parts(raw).count();
    let too_many = (count > MOST).then(|| format!("has {count} links; leave out all but {MOST}"));
    match (reader::list(raw, link), too_many) {
        (Ok(_), Some(wrong)) => Err(wrong),
        (Err(wrong), Some(too_many)) => Err(format!("{too_many}; {wrong}")),
        (read, None) => read,
    }
}

fn link(raw: &str) -> Result<SiteLink, Wrong> {
    let (label, address) = raw.split_once('=').ok_or_else(|| {
        Wrong::new(
            format!("`{raw}` is no link"),
            "write it like Help=https://example.org/help, and a comma in an address as %2C",
        )
    })?;
    let label = visible(label.trim(), LONGEST_LABEL)
        .map_err(|wrong| Wrong::new(format!("the label `{label}` {}", wrong.what), wrong.remedy))?;
    let address = address_of(address.trim()).ok_or_else(|| {
        Wrong::new(
            format!("`{label}` has no address that is allowed"),
            "use https://..., mailto:... or a path like /static/help.html",
        )
    })?;
    Ok(SiteLink { label, address })
}

fn address_of(raw: &str) -> Option<String> {
    // A browser takes a second slash, or a backslash, for the beginning of a host.
    let is_path = raw.starts_with('/') && !raw.starts_with("//") && !raw.contains('\\');
    if raw.len() > LONGEST_ADDRESS {
        return None;
    }
    if is_path {
        let site = Url::parse("https://seat.example").ok()?;
        let url = site.join(raw).ok().filter(|url| url.origin() == site.origin())?;
        return Some(url[url::Position::BeforePath..].to_owned());
    }
    let url = Url::parse(raw).ok()?;
    let is_allowed = match url.scheme() {
        "https" => url.username().is_empty() && url.password().is_none(),
        "mailto" => url.path().contains('@'),
        _ => false,
    };
    is_allowed.then(|| url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_https_mailto_or_of_this_site() {
        let links = list(
            "Help=https://example.org/help?a=b, Imprint = /static/imprint.html ,Mail=mailto:it@example.org,",
        );
        let links: Vec<_> = links
            .unwrap()
            .into_iter()
            .map(|link| (link.label.clone(), link.from_outside("https://seat.example.org")))
            .collect();
        let expected = [
            ("Help", "https://example.org/help?a=b"),
            ("Imprint", "https://seat.example.org/static/imprint.html"),
            ("Mail", "mailto:it@example.org"),
        ];
        assert_eq!(
            links,
            expected.map(|(label, to)| (label.to_owned(), to.to_owned()))
        );
        assert_eq!(list(""), Ok(Vec::new()));
    }

    #[test]
    fn no_other_link_is_taken_and_the_error_says_what_to_write() {
        for (raw, remedy) in [
            ("Help", "write it like Help=https://example.org/help"),
            ("Help=https://example.org/a,b", "a comma in an address as %2C"),
            ("Help=http://example.org", "use https://..."),
            ("Help=javascript:alert(1)", "use https://..."),
            ("Help=data:text/html,x", "use https://..."),
            ("Help=//example.org", "use https://..."),
            ("Help=/\\example.org", "use https://..."),
            ("Help=/\t/example.org", "use https://..."),
            ("Help=https://ada:secret@example.org", "use https://..."),
            ("Help=mailto:", "use https://..."),
            ("=https://example.org", "write at least one character"),
            ("A\u{202e}B=https://example.org", "leave them out"),
        ] {
            let wrong = list(raw).unwrap_err();
            assert!(
                wrong.contains(remedy) && wrong.lines().count() == 1,
                "{raw}: {wrong}"
            );
        }
        assert_eq!(
            list("Help, A=/a,B=http://b.example,=/c ,Imprint"),
            Err("`Help` is no link, `Imprint` is no link; write it like Help=https://example.org/help, and a comma in an \
                 address as %2C; `B` has no address that is allowed; use https://..., mailto:... or a path like \
                 /static/help.html; the label `` is empty; write at least one character"
                .to_owned())
        );
        let many = "A=/a,".repeat(9);
        assert!(list(&many).unwrap_err().contains("leave out all but 8"));
        let many = list(&format!("{many}Help")).unwrap_err();
        assert!(
            many.contains("has 10 links") && many.contains("`Help` is no link"),
            "{many}"
        );
    }
}
