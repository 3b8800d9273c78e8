//! A network namespace for an instance, with a real link to PostgreSQL that can be taken down: the other
//! kernel then does not even acknowledge what is sent. Only root can make one, and only if `ip` is installed.

use std::net::Ipv4Addr;
use std::process::Command;

/// A network namespace with two links: one to PostgreSQL, one to the clients.
pub struct Namespace {
    name: String,
    /// This machine's end of the link to PostgreSQL.
    link: String,
    /// The third byte of all addresses, from the range for such tests (RFC 2544).
    net: u8,
}

impl Namespace {
    /// `None` if this machine cannot have one.
    pub fn new() -> Option<Self> {
        let id = std::process::id();
        if !nix::unistd::geteuid().is_root() {
            return None;
        }
        let namespace = Self {
            name: format!("oneseat-{id}"),
            link: format!("os{id}d"),
            net: id.to_le_bytes()[0],
        };
        let (name, asked) = (&namespace.name, format!("os{id}w"));
        let made = ip(&format!("netns add {name}"))
            && namespace.add_link(&namespace.link, "database", 0)
            && namespace.add_link(&asked, "web", 4)
            && ip(&format!("-n {name} link set lo up"));
        // If a command fails, dropping `namespace` removes what was made.
        made.then_some(namespace)
    }

    /// Four addresses from `first` on; the second is outside the namespace, the third inside.
    fn add_link(&self, here: &str, inside: &str, first: u8) -> bool {
        let (name, [ours, theirs]) = (&self.name, [first + 1, first + 2].map(|last| self.address(last)));
        ip(&format!(
            "link add {here} type veth peer name {inside} netns {name}"
        )) && ip(&format!("addr add {ours}/30 dev {here}"))
            && ip(&format!("-n {name} addr add {theirs}/30 dev {inside}"))
            && ip(&format!("link set {here} up"))
            && ip(&format!("-n {name} link set {inside} up"))
    }

    const fn address(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.net, last)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of the database, as seen from inside.
    pub const fn database(&self) -> Ipv4Addr {
        self.address(1)
    }

    /// The address from which clients outside connect.
    pub const fn outside(&self) -> Ipv4Addr {
        self.address(5)
    }

    /// The address of the instance.
    pub const fn inside(&self) -> Ipv4Addr {
        self.address(6)
    }

    /// Takes the link to PostgreSQL down.
    pub fn cut(&self) {
        assert!(ip(&format!("link set {} down", self.link)));
    }

    /// Puts it up again.
    pub fn mend(&self) {
        assert!(ip(&format!("link set {} up", self.link)));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // This removes the links, too.
        ip(&format!("netns del {}", self.name));
    }
}

pub(super) fn ip(command: &str) -> bool {
    let done = Command::new("ip").args(command.split(' ')).output();
    done.is_ok_and(|output| output.status.success())
}
