//! The alternatives to oneseat: each in its own directory, with one program that follows the protocol of
//! `bench/peers/README.md`.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, say};
use crate::child::Child;
use crate::http::{free_port, get};

const BUILD: Duration = Duration::from_secs(20 * 60);
const SEED: Duration = Duration::from_secs(10 * 60);
const START: Duration = Duration::from_secs(60);

/// A directory with a peer in it.
pub struct Place {
    pub name: String,
    run: PathBuf,
    variants: Vec<Variant>,
}

/// One of the ways in which a peer can be set up.
#[derive(Debug, PartialEq)]
pub struct Variant {
    pub name: String,
    args: Vec<String>,
}

/// A peer's database, filled once for all its variants.
pub struct Filled {
    run: PathBuf,
    url: String,
    headers: PathBuf,
}

/// A peer that answers.
pub struct Peer {
    /// The name of its variant.
    pub name: String,
    pub child: Child,
    pub address: SocketAddr,
    pub path: String,
    pub headers: PathBuf,
}

/// Each peer, in the order of their names.
pub fn all(bench: &Bench) -> Result<Vec<Place>> {
    let entries = match fs::read_dir(&bench.options.peers) {
        Ok(entries) => entries,
        Err(_) => return Ok(Vec::new()),
    };
    let mut places = Vec::new();
    for entry in entries.flatten() {
        let run = entry.path().join("run");
        if run.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let variants = variants_in(&entry.path(), &name)?;
            places.push(Place { name, run, variants });
        }
    }
    places.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(places)
}

fn variants_in(dir: &Path, name: &str) -> Result<Vec<Variant>> {
    let path = dir.join("variants");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().map(Variant::parse).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(vec![Variant::parse(name)]),
        Err(error) => Err(error).context(path.display().to_string()),
    }
}

impl Variant {
    fn parse(line: &str) -> Self {
        let (name, args) = line.split_once('\t').unwrap_or((line, ""));
        Self {
            name: name.to_owned(),
            args: args.split_whitespace().map(str::to_owned).collect(),
        }
    }
}

impl Place {
    /// Builds the peer, and fills its database.
    pub fn fill(&self, bench: &Bench, sessions: u64) -> Result<Filled> {
        let Self { name, run, .. } = self;
        say(format_args!("{name}: building"));
        Child::start(bench, &format!("{name}-build"), Command::new(run).arg("build"))?.finish(BUILD)?;

        say(format_args!("{name}: loading {sessions} sessions"));
        let database = format!("peer_{}", name.replace('-', "_"));
        bench.cluster.create(&database)?;
        let url = bench.cluster.url(&database);
        let headers = bench.cluster.file(&format!("{name}.headers"));
        let mut seed = Command::new(run);
        seed.args(["seed", &url, &sessions.to_string()]).arg(&headers);
        Child::start(bench, &format!("{name}-seed"), &mut seed)?.finish(SEED)?;
        bench.cluster.settle(&database)?;
        let run = run.clone();
        Ok(Filled { run, url, headers })
    }

    pub fn variants(&self) -> &[Variant] {
        &self.variants
    }
}

impl Peer {
    /// Starts it and checks that it answers.
    pub fn start(bench: &Bench, filled: &Filled, variant: &Variant) -> Result<Self> {
        let port = free_port()?;
        let mut serve = Command::new(&filled.run);
        serve.args(["serve", &filled.url, &port.to_string()]);
        let mut child = Child::serve(bench, &variant.name, serve.args(&variant.args))?;
        let ready = child.first_line(START, |line| Some(line.strip_prefix("ready ")?.trim().to_owned()))?;
        let (path, headers) = match ready.split_once(' ') {
            Some((path, kind)) => (path.to_owned(), filled.headers.with_added_extension(kind)),
            None => (ready, filled.headers.clone()),
        };
        let peer = Self {
            name: variant.name.clone(),
            child,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            path,
            headers,
        };
        let text = fs::read_to_string(&peer.headers)?;
        let header = text.lines().next().context("it has written no header")?;
        let said = get(peer.address, &peer.path, header)?;
        // better-auth's own route answers this, with status 200, without a session.
        ensure!(said.trim() != "null", "it does not know a seeded session");
        Ok(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_a_name_and_arguments() {
        let variant = |name: &str, args: &[&str]| Variant {
            name: name.to_owned(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
        };
        assert_eq!(Variant::parse("peer"), variant("peer", &[]));
        assert_eq!(
            Variant::parse("peer, tuned\t--setup tuned"),
            variant("peer, tuned", &["--setup", "tuned"])
        );
    }
}
