//! What people would use instead: each in a directory of its own, with one program that speaks the protocol of
//! `bench/peers/README.md`.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::bench::{Bench, say};
use crate::child::Child;
use crate::http::{free_port, get};

const BUILD: Duration = Duration::from_secs(20 * 60);
const SEED: Duration = Duration::from_secs(10 * 60);
const START: Duration = Duration::from_secs(60);

/// A peer that answers.
pub struct Peer {
    pub name: String,
    pub child: Child,
    pub address: SocketAddr,
    pub path: String,
    pub headers: PathBuf,
}

/// Each peer, with the program that runs it.
pub fn all(bench: &Bench) -> Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(&bench.options.peers) {
        Ok(entries) => entries,
        Err(_) => return Ok(Vec::new()),
    };
    let mut peers: Vec<_> = entries
        .flatten()
        .map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                entry.path().join("run"),
            )
        })
        .filter(|(_, run)| run.is_file())
        .collect();
    peers.sort_unstable();
    Ok(peers)
}

impl Peer {
    /// Builds it, fills its database, starts it, and sees that it answers.
    pub fn start(bench: &Bench, name: &str, run: &PathBuf, sessions: u64) -> Result<Self> {
        say(format_args!("{name}: building"));
        Child::start(bench, &format!("{name}-build"), Command::new(run).arg("build"))?.finish(BUILD)?;

        say(format_args!("{name}: loading {sessions} sessions"));
        let database = format!("peer_{}", name.replace('-', "_"));
        bench.cluster.create(&database)?;
        let url = bench.cluster.url(&database);
        let headers = bench.file(&format!("{name}.headers"));
        let mut seed = Command::new(run);
        seed.args(["seed", &url, &sessions.to_string()]).arg(&headers);
        Child::start(bench, &format!("{name}-seed"), &mut seed)?.finish(SEED)?;
        bench.cluster.settle(&database)?;

        let port = free_port()?;
        let mut serve = Command::new(run);
        serve.args(["serve", &url, &port.to_string()]);
        let mut child = Child::serve(bench, name, &mut serve)?;
        let path = child.first_line(START, |line| Some(line.strip_prefix("ready ")?.trim().to_owned()))?;
        let peer = Self {
            name: name.to_owned(),
            child,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            path,
            headers,
        };
        let text = fs::read_to_string(&peer.headers)?;
        let header = text.lines().next().context("it has written no header")?;
        get(peer.address, &peer.path, header)?;
        Ok(peer)
    }
}
