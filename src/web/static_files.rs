//! Stylesheets, scripts and images. The program carries its own; a file in `--static-dir` replaces the
//! carried file of that name, or comes in addition.
//!
//! Pages name the carried files by an address that holds a digest of them all. A browser keeps such a file
//! for good, because the next version has other addresses. The digest is a directory, so that the scripts can
//! import each other by name. At the address without the digest, which pages of other origins use, and with
//! `--static-dir`, browsers ask again at each load, and get a 304 while the file is the same (RFC 9110 13.1).

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use actix_files::{NamedFile, PathBufWrap, file_extension_to_mime};
use actix_web::http::header::{
    CACHE_CONTROL, ContentEncoding, ETag, EntityTag, Header, HeaderValue, IfNoneMatch, VARY,
};
use actix_web::mime::{self, Mime};
use actix_web::web::{self, Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest, Sha256};

use crate::web::compression;
use crate::web::problem::Problem;

/// Name, content, and the content compressed with gzip and with Brotli.
type Carried = (&'static str, &'static [u8], &'static [u8], &'static [u8]);

/// The files that the program carries.
const CARRIED: &[Carried] = include!(concat!(env!("OUT_DIR"), "/static_files.rs"));

static FILES: LazyLock<Vec<(&str, File)>> = LazyLock::new(|| {
    let file = |&(name, content, gzip, brotli): &Carried| {
        (
            name,
            File::of(content)
                .with(ContentEncoding::Brotli, brotli)
                .with(ContentEncoding::Gzip, gzip),
        )
    };
    CARRIED.iter().map(file).collect()
});

/// The version of the carried files: 16 hex digits of their digest.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let all = FILES.iter().fold(Sha256::new(), |all, (name, file)| {
        all.chain_update(name).chain_update(&file.tag)
    });
    hex::encode(&all.finalize()[..8])
});

static VERSIONED: LazyLock<String> = LazyLock::new(|| format!("{PLAIN}/{}", *VERSION));

/// The directory of the files of any version.
const PLAIN: &str = "/static";

/// How long a browser may keep an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Keep {
    /// Until it has asked whether the file is still the same.
    AndAsk,
    /// For a year, the most that is usual.
    ForGood,
}

impl Keep {
    const fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::AndAsk => "no-cache",
            Self::ForGood => "public, max-age=31536000, immutable",
        })
    }
}

/// A file in the program's memory.
pub(in crate::web) struct File {
    content: Bytes,
    /// The content compressed, where that is shorter; the best form first.
    compressed: Vec<(ContentEncoding, Bytes)>,
    /// The digest of the content.
    tag: String,
}

impl File {
    pub(in crate::web) fn of(content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let tag = hex::encode(&Sha256::digest(&content)[..16]);
        Self {
            content,
            compressed: Vec::new(),
            tag,
        }
    }

    /// The digest in an address: 16 hex digits.
    pub(in crate::web) fn version(&self) -> &str {
        &self.tag[..16]
    }

    /// Adds a compressed form. The best form is added first.
    pub(in crate::web) fn with(mut self, encoding: ContentEncoding, content: impl Into<Bytes>) -> Self {
        let form = Some((encoding, content.into()));
        self.compressed
            .extend(form.filter(|(_, form)| form.len() < self.content.len()));
        self
    }

    /// The form that the client takes (RFC 9110 12.5.3). A client that accepts none gets it
    /// uncompressed.
    fn form_for(&self, request: &HttpRequest) -> Option<&(ContentEncoding, Bytes)> {
        let forms = self.compressed.iter();
        let chosen = compression::chosen(request, forms.clone().map(|(encoding, _)| *encoding))?;
        forms.clone().find(|(encoding, _)| *encoding == chosen)
    }

    /// Answers with the file, or with 304 if the caller has it.
    pub(in crate::web) fn answer(&self, request: &HttpRequest, name: &str, keep: Keep) -> HttpResponse {
        let form = self.form_for(request);
        // Each form has a tag of its own (RFC 9110 8.8.3.3).
        let of_form = form.map(|(encoding, _)| format!("-{}", encoding.as_str()));
        let etag = EntityTag::new_strong(format!("{}{}", self.tag, of_form.unwrap_or_default()));
        let is_known = is_known(request, &etag);
        let mut response = if is_known {
            HttpResponse::NotModified()
        } else {
            HttpResponse::Ok()
        };
        response
            .insert_header((CACHE_CONTROL, keep.header()))
            .insert_header(ETag(etag));
        if !self.compressed.is_empty() {
            response.insert_header((VARY, "Accept-Encoding"));
        }
        if is_known {
            return response.finish();
        }
        if let Some((encoding, _)) = form {
            response.insert_header(*encoding);
        }
        response
            .content_type(content_type(name))
            .body(form.map_or(&self.content, |(_, content)| content).clone())
    }
}

/// Whether the caller has this version.
fn is_known(request: &HttpRequest, etag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(etag)),
        Err(_) => false,
    }
}

/// The carried files, and those that the operator adds or puts in their place.
pub(in crate::web) struct StaticFiles {
    /// Read again for each request, because its files may change at any time.
    directory: Option<PathBuf>,
}

impl StaticFiles {
    pub(in crate::web) fn new(directory: Option<&Path>) -> Self {
        Self {
            directory: directory.map(ToOwned::to_owned),
        }
    }

    /// The directory in which our pages find the files, without a slash at its end.
    pub(in crate::web) fn base(&self) -> &'static str {
        match self.directory {
            None => &VERSIONED,
            Some(_) => PLAIN,
        }
    }

    /// The operator's file of this name.
    async fn own(&self, name: &Path) -> Option<NamedFile> {
        let (directory, name) = (self.directory.clone()?, name.to_owned());
        let open = move || {
            let file = directory.join(name).canonicalize().ok()?;
            // A link may lead to other files of the directory and no further. A pipe would block.
            let is_served = file.starts_with(directory.canonicalize().ok()?) && file.is_file();
            is_served.then(|| NamedFile::open(file).ok())?
        };
        web::block(open).await.ok()?
    }
}

/// `GET /static/{name}` and `GET /static/{version}/{name}`
pub(in crate::web) async fn file(
    request: HttpRequest,
    files: Data<StaticFiles>,
) -> Result<HttpResponse, Problem> {
    let asked = request.match_info();
    // Nothing outside of the directory, and nothing hidden in it.
    let path = PathBufWrap::parse_path(asked.query("name"), false).map_err(|_| Problem::not_found())?;
    let path = path.as_ref();
    let name = path.to_str().ok_or_else(Problem::not_found)?;
    if let Some(own) = files.own(path).await {
        let own = own
            .set_content_type(content_type(name))
            .disable_content_disposition();
        let mut response = own.into_response(&request);
        let keep = Keep::AndAsk.header();
        response.headers_mut().insert(CACHE_CONTROL, keep);
        return Ok(response);
    }
    let found = FILES.iter().find(|(other, _)| *other == name);
    let (_, file) = found.ok_or_else(Problem::not_found)?;
    // A page of another version, from another instance, gets this version's file.
    let is_for_good = files.directory.is_none() && asked.get("version") == Some(&VERSION);
    let keep = if is_for_good { Keep::ForGood } else { Keep::AndAsk };
    Ok(file.answer(&request, name, keep))
}

/// Answers with a carried file, at an address without a digest.
pub(in crate::web) fn carried(request: &HttpRequest, name: &str) -> Option<HttpResponse> {
    let (name, file) = FILES.iter().find(|(other, _)| *other == name)?;
    Some(file.answer(request, name, Keep::AndAsk))
}

/// The media type and the encoding of text. Browsers must not guess them (`nosniff`).
fn content_type(name: &str) -> Mime {
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str());
    let known = match ending.unwrap_or_default() {
        // TypeScript, and not the video format.
        "ts" => mime::TEXT_PLAIN,
        ending => file_extension_to_mime(ending),
    };
    let is_text = known.type_() == mime::TEXT || known.suffix() == Some(mime::XML);
    let in_utf_8 = format!("{known}; charset=utf-8");
    in_utf_8.parse().ok().filter(|_| is_text).unwrap_or(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_source_tree_is_carried_and_has_a_content_type() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let module = ["oneseat.d.ts", "oneseat.js"].map(|name| root.join("clients/js").join(name));
        let mut files: Vec<PathBuf> = std::fs::read_dir(root.join("static"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .chain(module)
            .collect();
        files.sort_by(|one, other| one.file_name().cmp(&other.file_name()));
        let names: Vec<&str> = files
            .iter()
            .map(|file| file.file_name().unwrap().to_str().unwrap())
            .collect();
        let carried: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        assert_eq!(carried, names);
        for ((name, file), source) in FILES.iter().zip(&files) {
            let source = std::fs::read_to_string(source).unwrap();
            let lines: Vec<&str> = source.lines().map(str::trim).collect();
            let content = std::str::from_utf8(&file.content).unwrap();
            assert!(content.lines().all(|line| lines.contains(&line.trim())), "{name}");
            assert_ne!(content_type(name), mime::APPLICATION_OCTET_STREAM, "{name}");
        }
    }
}
