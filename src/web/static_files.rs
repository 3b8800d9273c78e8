//! Stylesheets, scripts and images: part of the program, unless a developer names a directory to read them from.
//!
//! Browsers keep them, ask again at each load, and are answered 304 while they are the same (RFC 9110 13.1.2).

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use actix_web::http::header::{CacheControl, CacheDirective, ETag, EntityTag, Header, IfNoneMatch};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, web};
use sha2::{Digest, Sha256};

use super::problem::Problem;

/// The files that the program carries.
const CARRIED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/static_files.rs"));

/// The same, each with what tells it from other versions.
static FILES: LazyLock<Vec<(&str, File)>> = LazyLock::new(|| {
    let file =
        |(name, content): &(&'static str, &'static [u8])| (*name, File::of(Bytes::from_static(content)));
    CARRIED.iter().map(file).collect()
});

/// Where the files are.
#[derive(Clone)]
pub(super) enum StaticFiles {
    /// In the program.
    Carried,
    /// In a directory, read again for each request.
    Directory(PathBuf),
}

/// One file, as it is now.
#[derive(Clone)]
pub(super) struct File {
    content: Bytes,
    etag: EntityTag,
}

impl File {
    pub(super) fn of(content: Bytes) -> Self {
        let etag = EntityTag::new_strong(hex::encode(&Sha256::digest(&content)[..16]));
        Self { content, etag }
    }
}

impl StaticFiles {
    pub(super) fn new(directory: Option<&Path>) -> Self {
        directory.map_or(Self::Carried, |directory| Self::Directory(directory.to_owned()))
    }

    async fn find(&self, name: &str) -> Option<File> {
        match self {
            Self::Carried => {
                let found = FILES.iter().find(|(other, _)| *other == name);
                found.map(|(_, file)| file.clone())
            }
            Self::Directory(directory) => {
                // One plain name: no way out of the directory, and nothing hidden in it.
                if name.starts_with('.') || name.contains(['/', '\\', '\0']) {
                    return None;
                }
                let path = directory.join(name);
                let content = web::block(move || std::fs::read(path)).await.ok()?.ok()?;
                Some(File::of(content.into()))
            }
        }
    }
}

/// `GET /static/{name}`
pub(super) async fn file(
    request: HttpRequest,
    name: web::Path<String>,
    files: Data<StaticFiles>,
) -> Result<HttpResponse, Problem> {
    let file = files.find(&name).await.ok_or_else(Problem::not_found)?;
    Ok(answer(&request, content_type(&name), file))
}

/// The file, unless the caller has it.
pub(super) fn answer(request: &HttpRequest, content_type: &str, file: File) -> HttpResponse {
    let is_known = is_known(request, &file.etag);
    let mut response = if is_known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header(CacheControl(vec![CacheDirective::NoCache]))
        .insert_header(ETag(file.etag));
    if is_known {
        response.finish()
    } else {
        response.content_type(content_type).body(file.content)
    }
}

/// Whether the caller has just this version.
fn is_known(request: &HttpRequest, etag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(etag)),
        Err(_) => false,
    }
}

/// Nobody may guess it (`nosniff`): what has another ending than these is bytes.
fn content_type(name: &str) -> &'static str {
    match Path::new(name).extension().and_then(|ending| ending.to_str()) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        // No type is registered; this is the one that its tools know.
        Some("ts") => "application/typescript; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml; charset=utf-8",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_source_tree_is_carried_and_has_a_content_type() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/static");
        let mut names: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let carried: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        assert_eq!(carried, names);
        for (name, file) in FILES.iter() {
            let content = std::fs::read(Path::new(directory).join(name)).unwrap();
            assert_eq!(file.content, content, "{name}");
            assert_ne!(content_type(name), "application/octet-stream", "{name}");
        }
    }
}
