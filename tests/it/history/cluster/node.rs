//! One node: etcd, Patroni, and the PostgreSQL that Patroni starts; with the files of `examples/cluster`.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};

use super::network::Network;
use super::programs::Programs;
use super::watchdog::Watchdog;
use crate::history::freeze::{Frozen, children};

const PATRONI: &str = include_str!("../../../../examples/cluster/patroni.yml");
const ETCD: &str = include_str!("../../../../examples/cluster/etcd.yml");

/// The processes of a node. The cluster's reaper ends them with this value.
pub struct Node {
    pub number: usize,
    dir: PathBuf,
    etcd: Option<Child>,
    patroni: Option<Child>,
    pub watchdog: Watchdog,
}

/// A file of `examples/cluster`, changed for this node. Lists of all nodes keep the addresses of all.
pub fn of_node(example: &str, number: usize, network: &Network) -> String {
    let is_list = |line: &str| {
        ["hosts:", "initial-cluster:"]
            .iter()
            .any(|key| line.trim_start().starts_with(key))
    };
    let lines = example.lines().map(|line| {
        if is_list(line) {
            return line.to_owned();
        }
        line.replace("192.0.2.11", &format!("192.0.2.1{}", number + 1))
            .replace("name: node1", &name(number).replace("node", "name: node"))
    });
    let text = lines.collect::<Vec<_>>().join("\n") + "\n";
    text.replace("192.0.2.0/24", &network.range())
        .replace("192.0.2.", &network.prefix_of_addresses())
}

pub fn name(number: usize) -> String {
    format!("node{}", number + 1)
}

impl Node {
    /// Writes its files, and starts etcd.
    pub fn new(number: usize, dir: &Path, network: &Network, programs: &Programs) -> Self {
        let dir = dir.join(name(number));
        DirBuilder::new().mode(0o700).create(&dir).unwrap();
        let path = |file: &str| dir.join(file).to_str().unwrap().to_owned();
        let patroni = of_node(PATRONI, number, network)
            .replace("/usr/lib/postgresql/15/bin", &programs.postgresql)
            .replace("/var/lib/postgresql/15/oneseat", &path("data"))
            .replace("/var/run/postgresql", &path(""))
            .replace(
                "device: /dev/watchdog",
                &format!("driver: testing\n  device: {}", path("watchdog")),
            );
        fs::write(path("patroni.yml"), patroni).unwrap();
        let etcd = of_node(ETCD, number, network).replace("/var/lib/etcd/oneseat", &path("etcd"));
        fs::write(path("etcd.yml"), etcd).unwrap();
        for file in ["patroni.yml", "etcd.yml"] {
            fs::set_permissions(path(file), fs::Permissions::from_mode(0o600)).unwrap();
        }
        let watched = dir.clone();
        let watchdog = Watchdog::start(&dir.join("watchdog"), move || end_processes(&watched));
        if let Some(user) = programs.user() {
            own(&dir, &user);
        }
        Self {
            number,
            dir,
            etcd: None,
            patroni: None,
            watchdog,
        }
    }

    /// The directory of its files and its sockets.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts the processes that do not run.
    pub fn start(&mut self, network: &Network, programs: &Programs) {
        if is_over(&mut self.etcd) {
            let mut etcd = network.command(self.number, "etcd");
            etcd.args(["--config-file", "etcd.yml"]);
            self.etcd = Some(self.begin("etcd", &mut etcd));
        }
        if is_over(&mut self.patroni) {
            let [python, arguments @ ..] = programs.patroni.as_slice() else {
                unreachable!("there is a program")
            };
            let mut patroni = network.command(self.number, python);
            patroni.args(arguments).arg("patroni.yml");
            if let Some(packages) = &programs.packages {
                patroni.env("PYTHONPATH", packages);
            }
            self.patroni = Some(self.begin("patroni", &mut patroni));
        }
    }

    fn begin(&self, name: &str, command: &mut Command) -> Child {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.dir.join(format!("{name}.log")))
            .unwrap();
        let child = command
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        fs::write(self.dir.join(format!("{name}.pid")), child.id().to_string()).unwrap();
        child
    }

    fn patroni(&self) -> u32 {
        self.patroni.as_ref().unwrap().id()
    }

    /// Kills Patroni with SIGKILL. Its PostgreSQL goes on.
    pub fn kill_patroni(&mut self) {
        if let Some(mut patroni) = self.patroni.take() {
            patroni.kill().unwrap();
            patroni.wait().unwrap();
        }
    }

    /// Kills the postmaster with SIGKILL. The other processes end when they notice.
    pub fn kill_postgres(&self) {
        if let Some(postmaster) = postmaster(&self.dir) {
            let _ = kill(postmaster, Signal::SIGKILL);
        }
    }

    pub fn freeze_patroni(&self) -> Frozen {
        Frozen::with_children(self.patroni())
    }

    /// PostgreSQL alone. `None`: it does not run.
    pub fn freeze_postgres(&self) -> Option<Frozen> {
        let postmaster = postmaster(&self.dir)?;
        Some(Frozen::with_children(u32::try_from(postmaster.as_raw()).unwrap()))
    }

    /// The last lines of its logs, for a failure.
    pub fn said(&self) -> String {
        let log = fs::read_to_string(self.dir.join("patroni.log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let last = lines.len().saturating_sub(15);
        format!("{}:\n{}\n", name(self.number), lines[last..].join("\n"))
    }
}

/// Kills Patroni and all of PostgreSQL, frozen or not, as a restart of the machine does.
fn end_processes(dir: &Path) {
    let patroni = fs::read_to_string(dir.join("patroni.pid")).unwrap_or_default();
    let mut all = Vec::new();
    if let Ok(patroni) = patroni.trim().parse::<i32>() {
        all.push(patroni);
    }
    if let Some(postmaster) = postmaster(dir) {
        all.push(postmaster.as_raw());
        let children = children(u32::try_from(postmaster.as_raw()).unwrap());
        all.extend(children.into_iter().filter_map(|pid| i32::try_from(pid).ok()));
    }
    for pid in all {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// The process id of the postmaster in that directory, while there is one.
fn postmaster(dir: &Path) -> Option<Pid> {
    let words = fs::read_to_string(dir.join("data/postmaster.pid")).ok()?;
    let pid = words.lines().next()?.parse().ok()?;
    // A server that was killed leaves the file behind.
    fs::read_to_string(format!("/proc/{pid}/comm"))
        .is_ok_and(|name| name.trim() == "postgres")
        .then_some(Pid::from_raw(pid))
}

fn is_over(child: &mut Option<Child>) -> bool {
    child
        .as_mut()
        .is_none_or(|child| child.try_wait().unwrap().is_some())
}

fn own(dir: &Path, user: &User) {
    let (uid, gid) = (Some(user.uid.as_raw()), Some(user.gid.as_raw()));
    chown(dir, uid, gid).unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        chown(entry.unwrap().path(), uid, gid).unwrap();
    }
}
