//! Processor time and memory of processes, from Linux's `/proc`.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{SysconfVar, sysconf};
use serde::Serialize;

/// One line of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    pid: u32,
    parent: u32,
    /// Processor time, in clock ticks: its own, and that of its children that ended and were waited for.
    ticks: u64,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // The name in parentheses may hold anything, parentheses and spaces included.
        let (pid, rest) = line.split_once(" (")?;
        let fields: Vec<&str> = rest.rsplit_once(") ")?.1.split_whitespace().collect();
        // proc(5): state is field 3, ppid 4, utime to cstime 14 to 17.
        let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u64>());
        Some(Self {
            pid: pid.parse().ok()?,
            parent: fields.get(1)?.parse().ok()?,
            ticks: ticks.sum::<Result<_, _>>().ok()?,
        })
    }
}

/// Processor time that a process and all its descendants have used so far, those that have ended included.
pub fn processor_time(root: u32) -> Result<Duration> {
    let mut stats = HashMap::new();
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        // The time of a process that has ended meanwhile is in its parent's.
        let line = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(stat) = Stat::parse(&line) {
            children.entry(stat.parent).or_default().push(stat.pid);
            stats.insert(stat.pid, stat);
        }
    }
    let mut ticks = stats.get(&root).context("the process has ended")?.ticks;
    let mut waiting = vec![root];
    while let Some(pid) = waiting.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            ticks += stats.get(&child).map_or(0, |stat| stat.ticks);
            waiting.push(child);
        }
    }
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("no clock ticks")?;
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// Memory of one process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// All that is in memory, pages of shared libraries included.
    pub resident: u64,
    /// All that is in memory, with shared pages divided among the processes that share them.
    pub proportional: u64,
    /// The memory that its end would free.
    pub private: u64,
}

pub fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).context(path)?;
    Memory::parse(&text).context("smaps_rollup cannot be read")
}

impl Memory {
    fn parse(smaps_rollup: &str) -> Option<Self> {
        let bytes = |name: &str| {
            let line = smaps_rollup.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
            Some(kib * 1024)
        };
        Some(Self {
            resident: bytes("Rss:")?,
            proportional: bytes("Pss:")?,
            private: bytes("Private_Clean:")? + bytes("Private_Dirty:")?,
        })
    }
}

/// Raises the limit of open files as far as the system allows. Child processes inherit it.
pub fn raise_open_files() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, most, most)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name() {
        let line = "4242 (a) b (c)) S 17 4242 4242 0 -1 4194560 100 0 0 0 250 50 7 3 20 0 4 0 12345 1000 200 \
                    18446744073709551615";
        let stat = Stat {
            pid: 4242,
            parent: 17,
            ticks: 310,
        };
        assert_eq!(Stat::parse(line), Some(stat));
        assert_eq!(Stat::parse("4242 (a"), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        let text = "55d0-7ffc ---p 00000000 00:00 0 [rollup]\nRss:               20 kB\nPss:               12 kB\n\
                    Pss_Dirty:          1 kB\nPrivate_Clean:      4 kB\nPrivate_Dirty:      6 kB\n";
        let memory = Memory {
            resident: 20 * 1024,
            proportional: 12 * 1024,
            private: 10 * 1024,
        };
        assert_eq!(Memory::parse(text), Some(memory));
        assert_eq!(Memory::parse("Rss: 20 kB"), None);
    }

    #[test]
    fn this_process_has_used_the_processor() {
        let mut sum = 0_u64;
        while processor_time(std::process::id()).unwrap().is_zero() {
            sum = std::hint::black_box(sum + 1);
        }
    }
}
