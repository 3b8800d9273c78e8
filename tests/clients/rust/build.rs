//! Generates the client from the description of a server: the file that `ONESEAT_DESCRIPTION` names. Without one there is none.

use std::env::var;
use std::error::Error;
use std::fs::{self, File};
use std::path::Path;

use progenitor::{GenerationSettings, Generator, InterfaceStyle};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=ONESEAT_DESCRIPTION");
    let Ok(description) = var("ONESEAT_DESCRIPTION") else {
        return Ok(());
    };
    println!("cargo::rerun-if-changed={description}");
    let document = serde_json::from_reader(File::open(&description)?)?;
    // Calls that are built by name: what may be left out is not written.
    let mut settings = GenerationSettings::default();
    settings.with_interface(InterfaceStyle::Builder);
    let client = Generator::new(&settings).generate_tokens(&document)?;
    fs::write(Path::new(&var("OUT_DIR")?).join("client.rs"), client.to_string())?;
    Ok(())
}
