//! The machine of the measurement, and the versions.

use std::fs;
use std::process::Command;

use anyhow::Result;
use serde::Serialize;

use crate::bench::Bench;

/// The machine and the versions, for the report.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    pub processor: String,
    pub processors: usize,
    pub memory: String,
    pub kernel: String,
    pub postgresql: String,
    pub date: String,
    pub commit: String,
    /// Other runnable processes before the run began, averaged by the kernel over a minute.
    pub load_before: String,
}

impl Machine {
    pub fn look(bench: &Bench) -> Result<Self> {
        let version = bench
            .cluster
            .words("postgres", "select current_setting('server_version') as word")?;
        Ok(Self {
            processor: field("/proc/cpuinfo", "model name"),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory: gibibytes(&field("/proc/meminfo", "MemTotal")),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            postgresql: version.join(""),
            date: chrono::Utc::now().format("%Y-%m-%d").to_string(),
            commit: commit(),
            load_before: first_word(&fs::read_to_string("/proc/loadavg")?),
        })
    }
}

fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

fn gibibytes(kib: &str) -> String {
    match first_word(kib).parse::<f64>() {
        Ok(kib) => format!("{:.0} GiB", kib / 1024.0 / 1024.0),
        Err(_) => kib.to_owned(),
    }
}

fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

fn commit() -> String {
    let words = ["describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"];
    let output = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR")])
        .args(words)
        .output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_is_told_in_gibibytes() {
        assert_eq!(super::gibibytes("24689396 kB"), "24 GiB");
    }
}
