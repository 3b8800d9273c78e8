//! Several versions of PostgreSQL, and data that go from one to the next. `script/upgrades` fetches the programs and
//! names their directories, oldest first.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::data_dir;
use crate::support::{Database, PASSWORD, Program, oneseat_with};

/// Runs as the user that owns the private server's files.
pub fn of_the_servers_owner(command: &mut Command) -> &mut Command {
    match nix::unistd::User::from_name("postgres").unwrap() {
        Some(user) if nix::unistd::geteuid().is_root() => {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw())
        }
        _ => command,
    }
}

/// The programs of one version.
#[derive(Clone)]
pub struct Version {
    pub number: String,
    pub bin: PathBuf,
}

/// All versions on this machine, oldest first.
pub fn versions() -> Vec<Version> {
    let named = std::env::var("ONESEAT_POSTGRESQL_VERSIONS").expect("script/upgrades names them");
    let of = |bin: PathBuf| {
        let said = Command::new(bin.join("postgres"))
            .arg("--version")
            .output()
            .unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let number = said.split_whitespace().nth(2).unwrap().split('.').next();
        Version {
            number: number.unwrap().to_owned(),
            bin,
        }
    };
    std::env::split_paths(&named).map(of).collect()
}

/// The environment of a machine that has these versions.
pub fn machine(versions: &[&Version]) -> Vec<(&'static str, String)> {
    let bins = versions.iter().map(|version| version.bin.clone());
    let usual = std::env::var_os("PATH").unwrap();
    let all = std::env::join_paths(bins.chain(std::env::split_paths(&usual))).unwrap();
    vec![("PATH", all.into_string().unwrap())]
}

pub fn borrowed<'a>(machine: &'a [(&'a str, String)]) -> Vec<(&'a str, &'a str)> {
    machine
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

/// A data directory with its users.
pub struct Data {
    dir: TempDir,
    pub admin_password: String,
}

impl Data {
    /// Made by this version, which need not be the newest on the machine.
    pub fn made_by(version: &Version) -> Self {
        let dir = data_dir();
        let path = dir.path();
        let own = nix::unistd::geteuid().is_root().then_some("postgres");
        let script = format!(
            "touch start.lock; mkdir -m 700 server; {} chmod 711 .",
            own.map_or_else(String::new, |own| format!("chown {own}: server;"))
        );
        let made = Command::new("sh")
            .args(["-euc", &script])
            .current_dir(path)
            .status();
        assert!(made.unwrap().success());
        let mut initdb = Command::new(version.bin.join("initdb"));
        initdb.args(["-D", "pgdata", "-U", "oneseat", "--encoding=UTF8", "--no-locale"]);
        initdb.args(["--auth-local=trust", "--auth-host=reject", "-N"]);
        let made = of_the_servers_owner(&mut initdb)
            .current_dir(path.join("server"))
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let prepare = "mkdir -p -m 700 server/run";
        let mut shell = Command::new("sh");
        let made = of_the_servers_owner(shell.args(["-c", prepare]))
            .current_dir(path)
            .status();
        assert!(made.unwrap().success());
        let data = Self {
            dir,
            admin_password: String::new(),
        };
        let program = data.serve(&machine(&[version]));
        let admin_password = program.first_password();
        for email in ["ada@example.org", "bob@example.org"] {
            data.add_user(email, &machine(&[version]));
        }
        program.terminate();
        Self {
            admin_password,
            ..data
        }
    }

    pub fn add_user(&self, email: &str, machine: &[(&str, String)]) {
        let add = [
            "user",
            "add",
            email,
            "--name",
            "N",
            "--verified",
            "--password-stdin",
        ];
        let args = [&add[..], &["--data-dir", self.path()]].concat();
        let added = oneseat_with(&args, &borrowed(machine), &format!("{PASSWORD}\n"));
        assert!(added.status.success(), "{added:?}");
    }

    pub fn path(&self) -> &str {
        self.dir.path().to_str().unwrap()
    }

    pub fn server(&self, name: &str) -> PathBuf {
        self.dir.path().join("server").join(name)
    }

    pub fn version(&self) -> String {
        fs::read_to_string(self.server("pgdata/PG_VERSION"))
            .unwrap()
            .trim()
            .to_owned()
    }

    pub fn serve(&self, machine: &[(&str, String)]) -> Program {
        Program::serve_with(&["--bind", "127.0.0.1:0", "--data-dir", self.path()], machine)
    }

    /// The answer of `oneseat database upgrade`: its exit status and its whole output.
    pub fn upgrade(&self, machine: &[(&str, String)]) -> (Option<i32>, String) {
        let output = oneseat_with(
            &["database", "upgrade", "--data-dir", self.path()],
            &borrowed(machine),
            "",
        );
        let words = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(words).unwrap())
    }

    /// Asks the running server.
    pub fn database(&self) -> Database {
        let run = percent(&self.server("run"));
        Database::at(format!("postgresql://oneseat@{run}/oneseat"))
    }
}

fn percent(path: &Path) -> String {
    path.to_str().unwrap().replace('/', "%2F")
}
