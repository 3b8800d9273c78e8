//! The faults that can happen to a cluster.

use std::fmt;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::members::Cluster;

/// Each happens at the primary and without a watchdog, unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A switchover by an operator.
    SwitchedOver,
    PostgresKilled,
    /// Patroni is killed, and PostgreSQL goes on.
    PatroniKilled,
    /// Patroni and PostgreSQL are killed.
    NodeKilled,
    StandbyKilled,
    /// PostgreSQL is frozen until another node leads. Patroni goes on.
    PostgresFrozen,
    /// Patroni is frozen until another node leads. PostgreSQL goes on.
    PatroniFrozen,
    /// Patroni is frozen, and the watchdog ends the node.
    PatroniFrozenAndWatched,
    /// Both are frozen until another node leads, as in a virtual machine that is paused.
    NodeFrozen,
    /// The standby that commits wait for is frozen, for longer than commits wait.
    StandbyFrozen,
    /// The node is cut from etcd and the other nodes. Clients still reach it.
    CutFromOthers,
    /// The node is cut from everything.
    CutOff,
}

impl Fault {
    /// All faults that are possible on such a network.
    pub fn all(can_be_cut: bool) -> Vec<Self> {
        let mut all = vec![
            Self::SwitchedOver,
            Self::PostgresKilled,
            Self::PatroniKilled,
            Self::NodeKilled,
            Self::StandbyKilled,
            Self::PostgresFrozen,
            Self::PatroniFrozen,
            Self::PatroniFrozenAndWatched,
            Self::NodeFrozen,
            Self::StandbyFrozen,
        ];
        if can_be_cut {
            all.extend([Self::CutFromOthers, Self::CutOff]);
        }
        all
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Cluster {
    /// Causes the fault, waits until the cluster has dealt with it, and repairs it.
    pub async fn suffer(&mut self, fault: Fault, rng: &mut StdRng) {
        let members = self.becomes_whole().await;
        let (primary, standby) = (members.leader.unwrap(), members.waited_for.unwrap());
        // The deposed node runs beside the new primary for a while, or comes back after a while.
        let pause = Duration::from_millis(rng.random_range(2_000..6_000));
        self.nodes[primary]
            .watchdog
            .switch(fault == Fault::PatroniFrozenAndWatched);
        match fault {
            Fault::SwitchedOver => {
                self.switch_over(primary).await;
                self.is_led_by_another_than(primary).await;
            }
            Fault::PostgresKilled => {
                self.nodes[primary].kill_postgres();
                self.is_led_by_another_than(primary).await;
            }
            Fault::PatroniKilled => {
                self.nodes[primary].kill_patroni();
                self.is_deposed(primary, pause).await;
            }
            Fault::NodeKilled => {
                self.nodes[primary].kill_patroni();
                self.nodes[primary].kill_postgres();
                self.is_deposed(primary, pause).await;
            }
            Fault::StandbyKilled => {
                self.nodes[standby].kill_patroni();
                self.nodes[standby].kill_postgres();
                tokio::time::sleep(pause).await;
            }
            Fault::PostgresFrozen => {
                let frozen = self.nodes[primary].freeze_postgres();
                self.is_deposed(primary, pause).await;
                drop(frozen);
            }
            Fault::PatroniFrozen | Fault::PatroniFrozenAndWatched => {
                let frozen = self.nodes[primary].freeze_patroni();
                self.is_deposed(primary, pause).await;
                drop(frozen);
            }
            Fault::NodeFrozen => {
                let patroni = self.nodes[primary].freeze_patroni();
                let postgres = self.nodes[primary].freeze_postgres();
                self.is_deposed(primary, pause).await;
                drop((postgres, patroni));
            }
            Fault::StandbyFrozen => {
                let frozen = self.nodes[standby].freeze_postgres();
                tokio::time::sleep(Duration::from_secs(8) + pause).await;
                drop(frozen);
            }
            Fault::CutFromOthers => {
                self.network.cut_from_others(primary);
                self.is_deposed(primary, pause).await;
                self.network.mend(primary);
            }
            Fault::CutOff => {
                self.network.cut_off(primary);
                self.is_deposed(primary, pause).await;
                self.network.mend(primary);
            }
        }
        // Patroni notices what happened to its PostgreSQL, and says so.
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.start_all();
        self.becomes_whole().await;
        self.nodes[primary].watchdog.switch(true);
    }

    /// Waits until another node leads, and has done so for that long.
    async fn is_deposed(&self, primary: usize, pause: Duration) {
        self.is_led_by_another_than(primary).await;
        tokio::time::sleep(pause).await;
    }
}
