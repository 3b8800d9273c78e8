//! A logo, and the check that it is what it says.

use std::fmt;
use std::fs::File;
use std::io::{Cursor, Read};
use std::sync::Arc;

use png::{Decoder, Limits};
use roxmltree::{Document, Node};

/// The size of the largest file, in bytes.
const LARGEST: usize = 64 * 1024;
/// The most pixels in a row and in a column.
const MOST_PIXELS: u32 = 1024;
const SVG: &str = "http://www.w3.org/2000/svg";

/// An image that was read and checked.
#[derive(Clone)]
pub struct Logo {
    /// The format of the content.
    pub format: LogoFormat,
    /// The bytes of the file, at most 64 KiB.
    pub content: Arc<[u8]>,
}

/// The kinds of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoFormat {
    /// SVG (W3C SVG 2) without scripts.
    Svg,
    /// PNG (ISO 15948) of at most 1024 x 1024 pixels.
    Png,
}

impl LogoFormat {
    /// The ending of its file's name.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
        }
    }
}

// Leaves the bytes out.
impl fmt::Debug for Logo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Logo({:?}, {} bytes)", self.format, self.content.len())
    }
}

impl Logo {
    /// Reads and checks a file.
    pub(super) fn read(path: &str) -> Result<Self, String> {
        let mut content = Vec::new();
        File::open(path)
            .and_then(|file| file.take(LARGEST as u64 + 1).read_to_end(&mut content))
            .map_err(|error| format!("cannot be read ({error}); name an SVG or PNG file"))?;
        Self::of(&content)
    }

    fn of(content: &[u8]) -> Result<Self, String> {
        if content.len() > LARGEST {
            return Err("is larger than 64 KiB; make it smaller".to_owned());
        }
        let is_png = content.starts_with(b"\x89PNG\r\n\x1a\n");
        let format = if is_png {
            check_png(content)?;
            LogoFormat::Png
        } else {
            check_svg(content)?;
            LogoFormat::Svg
        };
        Ok(Self {
            format,
            content: content.into(),
        })
    }
}

fn check_png(content: &[u8]) -> Result<(), String> {
    let damaged = |error: png::DecodingError| format!("is a damaged PNG ({error}); save it once more");
    let bytes = MOST_PIXELS as usize * MOST_PIXELS as usize * 8;
    let mut image = Decoder::new_with_limits(Cursor::new(content), Limits { bytes });
    let header = image.read_header_info().map_err(damaged)?;
    let (width, height) = (header.width, header.height);
    if width > MOST_PIXELS || height > MOST_PIXELS {
        return Err(format!(
            "has {width} x {height} pixels; make it {MOST_PIXELS} x {MOST_PIXELS} or smaller"
        ));
    }
    let mut image = image.read_info().map_err(damaged)?;
    while image.next_row().map_err(damaged)?.is_some() {}
    Ok(())
}

/// Refuses an SVG with a script. Browsers run no script in an image, so it is a mistake, or meant for somebody who
/// opens the file alone.
fn check_svg(content: &[u8]) -> Result<(), String> {
    let neither = || "is neither SVG nor PNG; save it as one of them".to_owned();
    let text = std::str::from_utf8(content).map_err(|_| neither())?;
    // Without DTD: entities can make a small file large.
    let svg = Document::parse(text).map_err(|error| {
        if text.contains("<svg") {
            format!("is no SVG that can be read ({error}); save it as plain SVG")
        } else {
            neither()
        }
    })?;
    if !svg.root_element().has_tag_name((SVG, "svg")) {
        return Err(neither());
    }
    if svg.descendants().any(|node| is_active(&node)) {
        return Err("has a script in it; remove that, or save it as plain SVG".to_owned());
    }
    Ok(())
}

fn is_active(node: &Node<'_, '_>) -> bool {
    let name = node.tag_name().name();
    let is_event = |name: &str| {
        name.get(..2)
            .is_some_and(|start| start.eq_ignore_ascii_case("on"))
    };
    let is_script = |value: &str| value.trim_start().to_ascii_lowercase().starts_with("javascript:");
    name.eq_ignore_ascii_case("script")
        || name.eq_ignore_ascii_case("foreignObject")
        || node
            .attributes()
            .any(|attribute| is_event(attribute.name()) || is_script(attribute.value()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Grayscale);
        let mut writer = encoder.write_header().unwrap();
        let pixels = vec![0; width as usize * height as usize];
        writer.write_image_data(&pixels).unwrap();
        drop(writer);
        file
    }

    #[test]
    fn an_image_is_what_its_content_says() {
        let svg = include_bytes!("../../../static/icon.svg");
        assert_eq!(Logo::of(svg).unwrap().format, LogoFormat::Svg);
        assert_eq!(Logo::of(&png(32, 32)).unwrap().format, LogoFormat::Png);
    }

    #[test]
    fn what_is_no_image_is_refused_with_a_remedy() {
        let cut = png(32, 32);
        let svg = |inside: &str| format!("<svg xmlns='{SVG}'>{inside}</svg>").into_bytes();
        for (content, remedy) in [
            (b"GIF89a".to_vec(), "save it as one of them"),
            (b"<html></html>".to_vec(), "save it as one of them"),
            (b"<svg></svg>".to_vec(), "save it as one of them"),
            (b"<svg".to_vec(), "save it as plain SVG"),
            (cut[..cut.len() / 2].to_vec(), "save it once more"),
            (png(1025, 1), "make it 1024 x 1024 or smaller"),
            (vec![b' '; LARGEST + 1], "make it smaller"),
            (svg("<script>alert(1)</script>"), "remove that"),
            (svg("<g onload='alert(1)'/>"), "remove that"),
            (svg("<a href='javascript:alert(1)'/>"), "remove that"),
            (svg("<foreignObject/>"), "remove that"),
            (
                format!("<!DOCTYPE svg [<!ENTITY a 'a'>]><svg xmlns='{SVG}'>&a;</svg>").into_bytes(),
                "save it as plain SVG",
            ),
        ] {
            let wrong = Logo::of(&content).unwrap_err();
            assert!(wrong.contains(remedy), "{wrong}");
        }
        assert!(
            Logo::read("/nowhere/logo.svg")
                .unwrap_err()
                .contains("name an SVG")
        );
    }
}
