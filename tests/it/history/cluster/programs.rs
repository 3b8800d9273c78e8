//! The programs of a cluster, and where they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::User;

/// Where `script/install cluster` puts Patroni.
const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/patroni");

/// The programs that run at each node.
pub struct Programs {
    /// The directory of PostgreSQL's programs.
    pub postgresql: String,
    /// The command that runs Patroni, up to its configuration file.
    pub patroni: Vec<String>,
    /// The directory in which Python finds Patroni.
    pub packages: Option<PathBuf>,
    /// Its version, and where it comes from.
    pub version: String,
}

impl Programs {
    /// Patroni as `script/install cluster` has fetched it; with `ONESEAT_PATRONI=debian` that of the system. It is copied into `dir`,
    /// where the user of PostgreSQL can read it.
    pub fn find(dir: &Path) -> Self {
        let is_debian = std::env::var("ONESEAT_PATRONI").is_ok_and(|patroni| patroni == "debian");
        let packages = (!is_debian).then(|| copied(dir));
        let patroni: Vec<_> = ["/usr/bin/python3", "-m", "patroni"].map(str::to_owned).into();
        let mut asks = Command::new(&patroni[0]);
        asks.args(&patroni[1..]).arg("--version");
        if let Some(packages) = &packages {
            asks.env("PYTHONPATH", packages);
        }
        let answer = asks.output().unwrap();
        assert!(answer.status.success(), "there is no Patroni: {answer:?}");
        Self {
            postgresql: newest_postgresql(),
            patroni,
            packages,
            version: String::from_utf8(answer.stdout).unwrap().trim().to_owned(),
        }
    }

    /// The user that runs the cluster, if it is not this one.
    pub fn user(&self) -> Option<User> {
        let is_root = nix::unistd::geteuid().is_root();
        is_root.then(|| {
            User::from_name("postgres")
                .unwrap()
                .expect("there is a user postgres")
        })
    }
}

fn copied(dir: &Path) -> PathBuf {
    let copy = dir.join("patroni");
    let packages = Path::new(INSTALLED).join("lib");
    let packages = fs::read_dir(&packages)
        .unwrap_or_else(|error| panic!("{}: {error}; run script/install cluster", packages.display()))
        .map(|entry| entry.unwrap().path().join("site-packages"))
        .next()
        .unwrap();
    let done = Command::new("cp").arg("-rL").args([&packages, &copy]).status();
    assert!(done.unwrap().success());
    copy
}

fn newest_postgresql() -> String {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("Debian's PostgreSQL is installed");
    let newest = versions
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<u32>().ok())
        .max();
    format!("/usr/lib/postgresql/{}/bin", newest.unwrap())
}
