//! The accent colour, with enough contrast for text (WCAG 2.2, 1.4.3, level AA).
//!
//! No colour has it on white and on the dark surface alike, so there is one for light pages and one for dark
//! pages.

use palette::color_difference::Wcag21RelativeContrast;
use palette::{Mix, Srgb};

use super::super::reader::{Wrong, both};

/// The contrast that WCAG AA asks of text.
const ENOUGH: f32 = 4.5;

/// The accent colours of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accent {
    /// The colours on light pages, and in mails.
    pub light: Shades,
    /// The colours on dark pages.
    pub dark: Shades,
}

/// One accent colour and those that go with it, each like `#1d4ed8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shades {
    /// The colour of links and buttons.
    pub accent: String,
    /// The colour of a button under the pointer.
    pub hover: String,
    /// The colour of the text of a button.
    pub text: String,
    /// The colour of a surface with a touch of the accent colour.
    pub wash: String,
}

type Colour = Srgb<f32>;

/// The colours that an accent colour is next to on light or on dark pages.
struct Pages {
    name: &'static str,
    /// `--surface` and `--ground` of the stylesheet.
    surfaces: [u32; 2],
    /// The text on a button.
    text: u32,
    /// The colour towards which an accent colour gains contrast: black or white.
    towards: u32,
    /// How much of the accent colour its wash has, from 0 to 1.
    wash: f32,
}

const LIGHT: Pages = Pages {
    name: "light",
    surfaces: [0xff_ffff, 0xf4_f5f8],
    text: 0xff_ffff,
    towards: 0x00_0000,
    wash: 0.07,
};

const DARK: Pages = Pages {
    name: "dark",
    surfaces: [0x17_1d28, 0x0e_1219],
    text: 0x0e_1219,
    towards: 0xff_ffff,
    wash: 0.12,
};

fn colour(code: u32) -> Colour {
    Srgb::<u8>::from(code).into_format()
}

fn code(colour: Colour) -> String {
    format!("#{:x}", colour.into_format::<u8>())
}

impl Pages {
    fn wash(&self, accent: Colour) -> Colour {
        colour(self.surfaces[0]).mix(accent, self.wash)
    }

    /// The least contrast with any colour that the accent colour is next to.
    fn contrast(&self, accent: Colour) -> f32 {
        let surfaces = self.surfaces.map(colour);
        let others = surfaces.into_iter().chain([self.wash(accent), colour(self.text)]);
        others
            .map(|other| accent.relative_contrast(other))
            .fold(f32::INFINITY, f32::min)
    }

    /// The nearest colour on the way to black or white that has enough contrast.
    fn nearest(&self, accent: Colour) -> Colour {
        let steps = (0..=u8::MAX).map(|step| accent.mix(colour(self.towards), f32::from(step) / 255.0));
        // The contrast of the rounded colour counts: rounding must not cost the last bit of it.
        let mut written = steps.map(|step| step.into_format::<u8>().into_format());
        let found = written.find(|step: &Colour| self.contrast(*step) >= ENOUGH);
        found.unwrap_or_else(|| colour(self.towards))
    }

    fn shades(&self, accent: Colour) -> Shades {
        Shades {
            accent: code(accent),
            hover: code(accent.mix(colour(self.towards), 0.2)),
            text: code(colour(self.text)),
            wash: code(self.wash(accent)),
        }
    }

    /// Reads a colour and checks it.
    fn read(&self, raw: &str) -> Result<Colour, Wrong> {
        let accent = hex(raw)?;
        let contrast = self.contrast(accent);
        if contrast >= ENOUGH {
            return Ok(accent);
        }
        Err(Wrong::new(
            format!(
                "{raw} has a contrast of {:.1}:1 on {} pages, and text needs {ENOUGH}:1",
                // Never rounded up to what is enough.
                (contrast * 10.0).floor() / 10.0,
                self.name,
            ),
            format!("the nearest colour that has it is {}", code(self.nearest(accent))),
        ))
    }
}

fn hex(raw: &str) -> Result<Colour, Wrong> {
    let wrong = || {
        Wrong::new(
            format!("`{raw}` is no colour"),
            "write six hex digits like #1d4ed8",
        )
    };
    if raw.len() != 7 || !raw.starts_with('#') {
        return Err(wrong());
    }
    let colour: Srgb<u8> = raw.parse().map_err(|_| wrong())?;
    Ok(colour.into_format())
}

impl Accent {
    /// Reads one colour, or two with a comma between them.
    pub(super) fn read(raw: &str) -> Result<Self, String> {
        let (light, dark) = match raw.split_once(',') {
            Some((light, dark)) => (light.trim(), Some(dark.trim())),
            None => (raw, None),
        };
        let dark = dark.map(|dark| DARK.read(dark)).transpose();
        let (light, dark) = both(LIGHT.read(light), dark)?;
        let dark = dark.unwrap_or_else(|| DARK.nearest(light));
        Ok(Self {
            light: LIGHT.shades(light),
            dark: DARK.shades(dark),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surfaces_are_those_of_the_stylesheet() {
        let sheet = include_str!("../../../static/oneseat.css");
        let (light, dark) = sheet.split_once("@media (prefers-color-scheme: dark)").unwrap();
        for (pages, sheet) in [(LIGHT, light), (DARK, dark)] {
            for (name, surface) in ["surface", "ground"].into_iter().zip(pages.surfaces) {
                let line = format!("--{name}: {};", code(colour(surface)));
                assert!(sheet.contains(&line), "{line}");
            }
        }
    }

    #[test]
    fn one_colour_is_enough_and_the_dark_one_is_made_from_it() {
        let accent = Accent::read("#1d4ed8").unwrap();
        assert_eq!(accent.light.accent, "#1d4ed8");
        let dark = hex(&accent.dark.accent).unwrap();
        assert!(DARK.contrast(dark) >= ENOUGH, "{accent:?}");
        let both = Accent::read("#1d4ed8, #8ab0ff").unwrap();
        assert_eq!((both.light, both.dark.accent.as_str()), (accent.light, "#8ab0ff"));
    }

    #[test]
    fn a_pale_colour_is_refused_with_its_contrast_and_the_nearest_one_is_taken() {
        for (raw, contrast, pages) in [
            ("#f59e0b", "1.9:1", "light"),
            ("#ffffff", "1.0:1", "light"),
            ("#1d4ed8,#1d4ed8", "2.3:1", "dark"),
        ] {
            let wrong = Accent::read(raw).unwrap_err();
            assert!(wrong.contains(contrast) && wrong.contains(pages), "{wrong}");
            let (_, nearest) = wrong.rsplit_once(' ').unwrap();
            let next = raw
                .split_once(',')
                .map_or(nearest.to_owned(), |(light, _)| format!("{light},{nearest}"));
            assert!(Accent::read(&next).is_ok(), "{next}");
        }
        for raw in ["blue", "1d4ed8", "#1d4", "#1d4ed8ff", "#gggggg", "#1d4ed8,"] {
            let wrong = Accent::read(raw).unwrap_err();
            assert!(wrong.contains("like #1d4ed8"), "{raw}: {wrong}");
        }
    }

    #[test]
    fn no_colour_has_enough_contrast_on_light_and_on_dark_surfaces_alike() {
        let greys = (0..=255_u32).map(|grey| colour(grey * 0x01_0101));
        for grey in greys {
            assert!(LIGHT.contrast(grey) < ENOUGH || DARK.contrast(grey) < ENOUGH);
        }
    }
}
