//! What may befall a cluster.

use std::fmt;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::members::Cluster;

/// At the primary, unless it says otherwise; without a watchdog, unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An operator has another node lead.
    SwitchedOver,
    PostgresKilled,
    /// PostgreSQL goes on without it.
    PatroniKilled,
    /// Patroni and PostgreSQL.
    NodeKilled,
    StandbyKilled,
    /// Patroni goes on, and PostgreSQL when another node leads.
    PostgresFrozen,
    /// PostgreSQL goes on, and Patroni when another node leads.
    PatroniFrozen,
    /// The same, and the watchdog ends the node.
    PatroniFrozenAndWatched,
    /// Both: a virtual machine that is paused. They go on when another node leads.
    NodeFrozen,
    /// The standby that commits wait for, for longer than they do.
    StandbyFrozen,
    /// From etcd and the other nodes. Clients still reach it.
    CutFromOthers,
    /// From everybody.
    CutOff,
}

impl Fault {
    /// All that can happen on such a network.
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
    /// Lets it happen, waits until others have dealt with it, and mends it.
    pub async fn suffer(&mut self, fault: Fault, rng: &mut StdRng) {
        let members = self.becomes_whole().await;
        let (primary, standby) = (members.leader.unwrap(), members.waited_for.unwrap());
        // What was deposed goes on beside the new primary for a while, or comes back after a while.
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

    /// Another node leads, and has done so for that long.
    async fn is_deposed(&self, primary: usize, pause: Duration) {
        self.is_led_by_another_than(primary).await;
        tokio::time::sleep(pause).await;
    }
}
