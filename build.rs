//! Lists the files in `static/` and the client module, so that the program carries them. A new file there needs no
//! other mention. Each file is made smaller: comments are left out, and it is compressed in two ways.

use std::ffi::OsStr;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use brotli::enc::BrotliEncoderParams;
use flate2::{Compression, GzBuilder};

/// The client module and its types: the other files there are for npm.
const MODULE: [&str; 2] = ["oneseat.d.ts", "oneseat.js"];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    // The directory itself: a file that comes or goes counts, too.
    println!("cargo::rerun-if-changed=static");
    println!("cargo::rerun-if-changed=clients/js");
    // Diesel embeds the migrations.
    println!("cargo::rerun-if-changed=migrations");
    let of_cargo = |name| env::var_os(name).map(PathBuf::from).unwrap_or_default();
    let out = of_cargo("OUT_DIR");
    let root = of_cargo("CARGO_MANIFEST_DIR");
    let mut files = fs::read_dir(root.join("static"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.retain(|file| file.is_file());
    files.extend(MODULE.map(|name| root.join("clients/js").join(name)));
    files.sort_by(|one, other| one.file_name().cmp(&other.file_name()));

    let mut list = fs::File::create(out.join("static_files.rs"))?;
    writeln!(list, "&[")?;
    for file in files {
        let name = file.file_name().unwrap_or_default();
        let content = without_comments(&file, fs::read(&file)?);
        let write = |ending: &str, content: &[u8]| {
            let path = out.join(name).with_added_extension(ending);
            fs::write(&path, content).map(|()| path)
        };
        let plain = write("plain", &content)?;
        let gzip = write("gz", &gzip(&content)?)?;
        let brotli = write("br", &brotli(&content)?)?;
        writeln!(
            list,
            "    ({name:?}, include_bytes!({plain:?}), include_bytes!({gzip:?}), include_bytes!({brotli:?})),"
        )?;
    }
    writeln!(list, "]")
}

/// A script or a stylesheet without its comments, empty lines and indentation. It removes only comments that have their
/// lines to themselves: those are found without a parser, as long as no text of several lines looks like one. Types
/// (`.d.ts`) keep their comments, which editors show.
fn without_comments(file: &Path, content: Vec<u8>) -> Vec<u8> {
    let is_code = [OsStr::new("js"), OsStr::new("css")]
        .map(Some)
        .contains(&file.extension());
    let Some(text) = std::str::from_utf8(&content).ok().filter(|_| is_code) else {
        return content;
    };
    let mut code = String::new();
    let mut is_in_comment = false;
    for line in text.lines().map(str::trim) {
        let is_alone = line.split_once("*/").is_none_or(|(_, after)| after.is_empty());
        if is_in_comment || line.starts_with("/*") && is_alone {
            is_in_comment = !line.ends_with("*/");
        } else if !line.is_empty() && !line.starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
    }
    code.into_bytes()
}

/// Compresses without a name or a time in the result, so that the same files make the same program.
fn gzip(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressed = GzBuilder::new().write(Vec::new(), Compression::best());
    compressed.write_all(content)?;
    compressed.finish()
}

fn brotli(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressed = Vec::new();
    let best = BrotliEncoderParams {
        size_hint: content.len(),
        ..BrotliEncoderParams::default()
    };
    brotli::BrotliCompress(&mut Cursor::new(content), &mut compressed, &best)?;
    Ok(compressed)
}
