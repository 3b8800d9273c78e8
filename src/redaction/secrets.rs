//! Known secrets, and how to find them in a text.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::people::Recipient;
use super::{LEFT_OUT, on_one_line};

/// The fewest letters and digits of a name. A shorter one is part of other words, and a name opens nothing.
pub(super) const SHORTEST_NAME: usize = 6;

/// Secrets that must not be logged. Empty by default.
#[derive(Clone, Default)]
pub struct Secrets {
    /// The address of a message.
    pub(super) recipient: Option<Recipient>,
    /// Names that are compared with whole words.
    pub(super) words: Vec<Vec<char>>,
    /// In their compared form.
    forms: Vec<Vec<char>>,
    /// Forms without letters and digits, compared as they are.
    of_signs: Vec<Vec<char>>,
}

// A panic must not print them either.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// The credentials in a URL, as in `smtps://user:password@host` or
    /// `postgres://user:password@host/database`, or in libpq's other form, as in `host=db user=user
    /// password=password`. Each form that a server may repeat is included: plain, and as the commands of RFC
    /// 4954 and RFC 4616 carry it.
    pub fn of_url(url: &str) -> Self {
        let (user, password) = credentials(url);
        let mut secrets = Self::default();
        for (user, password) in [
            (user.as_str(), password.as_str()),
            (&decoded(&user), &decoded(&password)),
        ] {
            secrets.add(password);
            secrets = secrets.and_name(user);
            if !password.is_empty() {
                secrets.add_encoded(&format!("\0{user}\0{password}"));
            }
        }
        secrets
    }

    /// These and one more secret.
    #[must_use]
    pub fn and(mut self, secret: &str) -> Self {
        self.add(secret);
        self
    }

    /// These and a name, unless it is too short.
    #[must_use]
    pub fn and_name(mut self, name: &str) -> Self {
        if comparable(name).len() >= SHORTEST_NAME {
            self.add(name);
        }
        self
    }

    fn add(&mut self, secret: &str) {
        self.add_form(secret);
        self.add_encoded(secret);
    }

    fn add_encoded(&mut self, secret: &str) {
        self.add_form(&STANDARD.encode(secret));
        self.add_form(&hex::encode(secret));
    }

    fn add_form(&mut self, form: &str) {
        let line = on_one_line(form);
        let mut form = comparable(&line);
        let mut forms = &mut self.forms;
        if form.is_empty() {
            form = line.chars().filter(|c| !c.is_whitespace()).collect();
            forms = &mut self.of_signs;
        }
        if !form.is_empty() && !forms.contains(&form) {
            forms.push(form);
        }
    }

    /// The line with a mark in place of each secret.
    pub(super) fn taken_out_of(&self, line: &str) -> String {
        let chars: Vec<char> = line.chars().collect();
        let mut is_secret = vec![false; chars.len()];
        let in_order = || chars.iter().copied().enumerate();
        let letters = in_order()
            .filter(|(_, c)| c.is_alphanumeric())
            .flat_map(|(place, c)| c.to_lowercase().map(move |c| (place, c)));
        mark(&self.forms, letters, &mut is_secret);
        let signs = || in_order().filter(|(_, c)| !c.is_whitespace());
        mark(&self.of_signs, signs(), &mut is_secret);
        // Again without the line breaks of quoted-printable: words are rejoined afterwards.
        let breaks = |place: usize| chars[place] == '=' && chars.get(place + 1).is_some_and(|c| *c == ' ');
        mark(
            &self.of_signs,
            signs().filter(|(place, _)| !breaks(*place)),
            &mut is_secret,
        );
        // The padding of base64 belongs to the secret.
        for place in 1..chars.len() {
            is_secret[place] |= is_secret[place - 1] && chars[place] == '=';
        }
        let mut left = String::new();
        for (place, c) in chars.into_iter().enumerate() {
            if !is_secret[place] {
                left.push(c);
            } else if place == 0 || !is_secret[place - 1] {
                left.push_str(LEFT_OUT);
            }
        }
        left
    }
}

/// Marks the places of these forms.
pub(super) fn mark(forms: &[Vec<char>], text: impl Iterator<Item = (usize, char)>, is_secret: &mut [bool]) {
    let (places, text): (Vec<usize>, Vec<char>) = text.unzip();
    for form in forms {
        for (start, window) in text.windows(form.len()).enumerate() {
            if window == form {
                is_secret[places[start]..=places[start + form.len() - 1]].fill(true);
            }
        }
    }
}

/// The letters and digits alone, in lower case: a secret that was folded, quoted or escaped is still found.
/// Empty for a secret without any.
pub(super) fn comparable(text: &str) -> Vec<char> {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// The user and password as written in the URL; empty where missing.
fn credentials(url: &str) -> (String, String) {
    if let Some((_, rest)) = url.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let info = authority.rsplit_once('@').map_or("", |(info, _)| info);
        let (user, password) = info.split_once(':').unwrap_or((info, ""));
        let of_query = value_of("password", rest.split(['?', '&']).skip(1));
        let password = of_query.unwrap_or(password);
        return (user.to_owned(), password.to_owned());
    }
    let parts = || url.split_whitespace();
    let of = |name| value_of(name, parts()).unwrap_or_default().to_owned();
    (of("user"), of("password"))
}

fn value_of<'a>(name: &str, mut pairs: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}
