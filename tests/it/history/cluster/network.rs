//! The network of the nodes: each in a network namespace of its own, on one bridge; or at loopback addresses,
//! where nothing can be cut.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use crate::history::namespace::ip;

/// The number of nodes of a cluster.
pub const NODES: usize = 3;
/// A hardware address that no device has: frames to it are lost without an error.
const NOBODY: &str = "02:00:00:00:00:99";

/// The addresses of a cluster, and the links between them.
pub struct Network {
    /// The first three bytes of every address.
    net: [u8; 3],
    /// The prefix of the names of devices and namespaces; `None`: all on the loopback.
    prefix: Option<String>,
}

impl Network {
    /// With namespaces, if this process is root and `ip` is installed. Everything that it makes is listed in
    /// `dir` before it is made.
    pub fn new(dir: &Path) -> Self {
        let id = std::process::id();
        let [low, high, ..] = id.to_le_bytes();
        let network = Self {
            net: [198, 19, low],
            prefix: Some(format!("os{id}")),
        };
        if nix::unistd::geteuid().is_root() && network.make(dir) {
            return network;
        }
        Self {
            net: [127, 64 + high % 64, low],
            prefix: None,
        }
    }

    fn make(&self, dir: &Path) -> bool {
        let namespaces: Vec<_> = (0..NODES).map(|node| self.namespace(node)).collect();
        fs::write(dir.join("namespaces"), namespaces.join("\n") + "\n").unwrap();
        let bridge = self.bridge();
        fs::write(dir.join("bridge"), bridge.clone() + "\n").unwrap();
        let ours = self.clients();
        ip(&format!("link add {bridge} type bridge"))
            && ip(&format!("addr add {ours}/24 dev {bridge}"))
            && ip(&format!("link set {bridge} up"))
            && (0..NODES).all(|node| self.add_node(node))
    }

    fn add_node(&self, node: usize) -> bool {
        let (name, link, bridge) = (self.namespace(node), self.link(node), self.bridge());
        let address = self.address(node);
        ip(&format!("netns add {name}"))
            && ip(&format!("link add {link} type veth peer name eth0 netns {name}"))
            && ip(&format!("link set {link} master {bridge} up"))
            && ip(&format!("-n {name} addr add {address}/24 dev eth0"))
            && ip(&format!("-n {name} link set lo up"))
            && ip(&format!("-n {name} link set eth0 up"))
    }

    fn prefix(&self) -> &str {
        self.prefix.as_deref().expect("there are namespaces")
    }

    fn namespace(&self, node: usize) -> String {
        format!("{}n{node}", self.prefix())
    }

    fn link(&self, node: usize) -> String {
        format!("{}v{node}", self.prefix())
    }

    fn bridge(&self) -> String {
        format!("{}b", self.prefix())
    }

    const fn at(&self, last: u8) -> Ipv4Addr {
        let [first, second, third] = self.net;
        Ipv4Addr::new(first, second, third, last)
    }

    /// The address of the node with this index.
    pub fn address(&self, node: usize) -> Ipv4Addr {
        self.at(11 + u8::try_from(node).unwrap())
    }

    /// The address of the cluster's clients.
    pub const fn clients(&self) -> Ipv4Addr {
        self.at(1)
    }

    /// The prefix of every address.
    pub fn prefix_of_addresses(&self) -> String {
        let [first, second, third] = self.net;
        format!("{first}.{second}.{third}.")
    }

    /// The networks from which connections come.
    pub fn range(&self) -> String {
        match self.prefix {
            Some(_) => format!("{}0/24", self.prefix_of_addresses()),
            // Connections on the loopback come from 127.0.0.1.
            None => "127.0.0.0/8".to_owned(),
        }
    }

    /// A program at that node, which runs as the user of PostgreSQL where this process is root.
    pub fn command(&self, node: usize, program: &str) -> Command {
        let mut words = Vec::new();
        let namespace = self.prefix.as_ref().map(|_| self.namespace(node));
        if let Some(namespace) = &namespace {
            words.extend(["ip", "netns", "exec", namespace]);
        }
        if nix::unistd::geteuid().is_root() {
            words.extend([
                "setpriv",
                "--reuid",
                "postgres",
                "--regid",
                "postgres",
                "--init-groups",
            ]);
        }
        words.push(program);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command
    }

    /// Whether links can be cut.
    pub const fn can_be_cut(&self) -> bool {
        self.prefix.is_some()
    }

    /// Everything that the node sends to the other nodes is lost, and so is every answer to them. Clients
    /// still reach it.
    pub fn cut_from_others(&self, node: usize) {
        let name = self.namespace(node);
        for other in (0..NODES).filter(|other| *other != node) {
            let address = self.address(other);
            assert!(ip(&format!(
                "-n {name} neigh replace {address} lladdr {NOBODY} dev eth0 nud permanent"
            )));
        }
    }

    /// The node reaches no other, and nothing reaches it.
    pub fn cut_off(&self, node: usize) {
        assert!(ip(&format!("link set {} down", self.link(node))));
    }

    /// Restores all links of the node.
    pub fn mend(&self, node: usize) {
        if !self.can_be_cut() {
            return;
        }
        let name = self.namespace(node);
        for other in (0..NODES).filter(|other| *other != node) {
            // The node may not have been cut from that one.
            ip(&format!("-n {name} neigh del {} dev eth0", self.address(other)));
        }
        assert!(ip(&format!("link set {} up", self.link(node))));
    }
}
