//! Lists all that lies in `static/`, and the client module, each file compressed too, so that the program carries it and a file that is
//! put there needs no mention.

use std::io::Write;
use std::path::PathBuf;
use std::{env, fs, io};

use flate2::{Compression, GzBuilder};

/// The client module and its types: the other files there are for npm.
const MODULE: [&str; 2] = ["oneseat.d.ts", "oneseat.js"];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    // The directory itself: a file that comes or goes counts, too.
    println!("cargo::rerun-if-changed=static");
    println!("cargo::rerun-if-changed=clients/js");
    // The same for what Diesel embeds.
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
        let gzip = out.join(name).with_added_extension("gz");
        // Without a name or a time in it: the same files make the same program.
        let mut compressed = GzBuilder::new().write(fs::File::create(&gzip)?, Compression::best());
        compressed.write_all(&fs::read(&file)?)?;
        compressed.finish()?;
        writeln!(
            list,
            "    ({name:?}, include_bytes!({file:?}), include_bytes!({gzip:?})),"
        )?;
    }
    writeln!(list, "]")
}
