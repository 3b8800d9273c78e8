//! All nodes together, with HAProxy in front of them: what Patroni says about them, and what it is asked to
//! do.

use std::fs::{self, File, Permissions};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::network::{NODES, Network};
use super::node::{Node, name, of_node};
use super::programs::Programs;
use crate::support::{Client, Database, Program};

const HAPROXY: &str = include_str!("../../../../examples/cluster/haproxy.cfg");
const THROUGH_HAPROXY: &str = include_str!("../../../../examples/cluster/database-url");
const OF_ALL: &str = include_str!("../../../../examples/cluster/database-url.hosts");
/// The addresses in the files of `examples/cluster`.
const SUPERUSER: &str = "postgres:CHANGE-superuser";
const REST: (&str, &str) = ("patroni", "CHANGE-rest");
/// The password of the role with which instances connect.
const ROLE: &str = "oneseat:CHANGE-oneseat";
/// A cluster that takes longer than this to become healthy is broken.
const TIMEOUT: Duration = Duration::from_secs(180);

/// When the pipe at its standard input closes, all processes of the cluster are ended, by the numbers in its files, and what was made
/// of networks and files is removed.
const REAPER: &str = r#"trap '' INT TERM; cat > /dev/null
for pid in "$0"/oneseat*.pid; do
    [ -e "$pid" ] || continue
    oneseat=$(cat "$pid")
    [ "$(cat "/proc/$oneseat/comm")" = oneseat ] && kill -KILL "$oneseat"
done
for pid in "$0"/haproxy.pid "$0"/node*/patroni.pid "$0"/node*/etcd.pid; do
    [ -e "$pid" ] && kill -KILL "$(cat "$pid")"
done
for pid in "$0"/node*/data/postmaster.pid; do
    [ -e "$pid" ] || continue
    postmaster=$(head -n 1 "$pid")
    [ "$(cat "/proc/$postmaster/comm")" = postgres ] || continue
    children=$(cat "/proc/$postmaster/task/"*/children)
    kill -KILL "$postmaster" $children
done
if [ -e "$0/namespaces" ]; then
    while read -r name; do ip netns del "$name"; done < "$0/namespaces"
    ip link del "$(cat "$0/bridge")"
fi
for try in 1 2 3 4 5; do rm -rf "$0" && break; sleep 1; done"#;

/// Three nodes. Their processes end with this value, and with this process, however it ends.
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub network: Network,
    pub programs: Programs,
    client: Client,
    dir: TempDir,
    haproxy: Child,
    reaper: Child,
}

/// The state of the cluster, according to Patroni.
#[derive(Debug)]
pub struct Members {
    /// The node that holds the key.
    pub leader: Option<usize>,
    /// The standby that commits wait for.
    pub waited_for: Option<usize>,
    is_whole: bool,
}

impl Cluster {
    /// Waits until the cluster is healthy, with an empty database `oneseat`.
    pub async fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("oneseat-cluster-")
            .tempdir()
            .unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let reaper = Command::new("sh")
            .args(["-c", REAPER])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let (network, programs) = (Network::new(dir.path()), Programs::find(dir.path()));
        let nodes = (0..NODES).map(|number| Node::new(number, dir.path(), &network, &programs));
        let address = SocketAddr::new(network.address(0).into(), 8008);
        let haproxy = start_haproxy(dir.path(), &network);
        let mut cluster = Self {
            nodes: nodes.collect(),
            client: Client::new(address),
            network,
            programs,
            dir,
            haproxy,
            reaper,
        };
        cluster.start_all();
        let members = cluster.becomes_whole().await;
        cluster.make_database(members.leader.unwrap());
        cluster
    }

    /// Runs statements at the primary, through its socket.
    fn make_database(&self, leader: usize) {
        let socket = self.nodes[leader].dir().to_str().unwrap().replace('/', "%2F");
        let primary = Database::at(format!("postgresql://{SUPERUSER}@/postgres?host={socket}"));
        let (role, password) = ROLE.split_once(':').unwrap();
        primary.execute(&format!("create role {role} login password '{password}'"));
        primary.execute(&format!("create database oneseat owner {role}"));
    }

    /// Makes the program end with the cluster, if it has not ended before.
    pub fn adopt(&self, program: &Program) {
        let file = self.dir.path().join(format!("oneseat{}.pid", program.pid()));
        fs::write(file, program.pid().to_string()).unwrap();
    }

    /// Starts the processes that do not run.
    pub fn start_all(&mut self) {
        for node in &mut self.nodes {
            node.start(&self.network, &self.programs);
        }
    }

    /// The URL of the database at this node alone, whether it is the primary or not.
    pub fn url_of(&self, node: usize) -> String {
        format!("postgresql://{ROLE}@{}:5432/oneseat", self.network.address(node))
    }

    /// The URL through HAProxy.
    pub fn url_through_haproxy(&self) -> String {
        let haproxy = format!("{}:5000", self.network.clients());
        THROUGH_HAPROXY.trim().replace("127.0.0.1:5000", &haproxy)
    }

    /// The URL with all nodes: libpq looks for the primary.
    pub fn url_of_all(&self) -> String {
        of_node(OF_ALL, 0, &self.network).trim().to_owned()
    }

    /// The answer of the first node that answers, except this one, whose information may be old.
    pub async fn members(&self, but: Option<usize>) -> Option<Members> {
        for node in (0..NODES).filter(|node| Some(*node) != but) {
            let patroni = self.client.at(self.rest(node)).request(Method::GET, "/cluster");
            let answer = tokio::time::timeout(Duration::from_secs(1), patroni.send()).await;
            if let Ok(Ok(answer)) = answer
                && let Ok(members) = answer.json().await
            {
                return Some(Members::of(&members));
            }
        }
        None
    }

    fn rest(&self, node: usize) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.network.address(node)), 8008)
    }

    /// Waits until every node runs and follows, and commits wait for one of them.
    pub async fn becomes_whole(&self) -> Members {
        let began = Instant::now();
        loop {
            let members = self.members(None).await;
            if let Some(members) = members.filter(|members| members.is_whole) {
                return members;
            }
            if began.elapsed() > TIMEOUT {
                let said: String = self.nodes.iter().map(Node::said).collect();
                panic!("the cluster has not become whole in {TIMEOUT:?}:\n{said}");
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Waits until another node than this one leads.
    pub async fn is_led_by_another_than(&self, deposed: usize) {
        let began = Instant::now();
        let is_so = |members: Members| members.leader.is_some_and(|leader| leader != deposed);
        while !self.members(Some(deposed)).await.is_some_and(is_so) {
            assert!(began.elapsed() < TIMEOUT, "nobody takes over");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Asks Patroni for a switchover.
    pub async fn switch_over(&self, leader: usize) {
        let ask = self
            .client
            .at(self.rest(leader))
            .request(Method::POST, "/switchover")
            .basic_auth(REST.0, Some(REST.1))
            .json(&json!({ "leader": name(leader) }));
        let answer = ask.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.nodes.iter().for_each(|node| println!("{}", node.said()));
        }
        drop(self.reaper.stdin.take());
        let _ = self.haproxy.wait();
        let _ = self.reaper.wait();
    }
}

fn start_haproxy(dir: &Path, network: &Network) -> Child {
    let bind = format!("{}:5000", network.clients());
    let settings = of_node(HAPROXY, 0, network).replace("127.0.0.1:5000", &bind);
    let file = dir.join("haproxy.cfg");
    fs::write(&file, settings).unwrap();
    let child = Command::new("haproxy")
        .arg("-f")
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(dir.join("haproxy.log")).unwrap())
        .spawn()
        .unwrap();
    fs::write(dir.join("haproxy.pid"), child.id().to_string()).unwrap();
    child
}

impl Members {
    fn of(cluster: &Value) -> Self {
        let none = Vec::new();
        let members = cluster["members"].as_array().unwrap_or(&none);
        let with_role = |role: &str| {
            let member = members.iter().find(|member| member["role"] == role)?;
            (0..NODES).find(|node| member["name"] == name(*node))
        };
        let (leader, waited_for) = (with_role("leader"), with_role("sync_standby"));
        let runs = |member: &Value| member["state"] == "running" || member["state"] == "streaming";
        let timeline = |member: &Value| member["timeline"] == members[0]["timeline"];
        let is_whole = members.len() == NODES
            && leader.is_some()
            && waited_for.is_some()
            && members.iter().all(|member| runs(member) && timeline(member));
        Self {
            leader,
            waited_for,
            is_whole,
        }
    }
}
