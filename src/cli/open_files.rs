//! The limit of open files: every connection is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::Failure;

/// Most files that each thread that serves has open for itself.
const OF_A_WORKER: usize = 8;
/// Files that the program has open for everything else: its log, its signals, a lookup, a mail, files that
/// are read.
const OF_THE_PROGRAM: usize = 48;

/// Raises the limit as far as the system allows, and returns it. The usual one is far lower than a server
/// needs.
pub(super) fn raise_limit() -> usize {
    let Ok((usual, most)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        // If the system cannot tell the limit, there is none.
        return usize::MAX;
    };
    let limit = match setrlimit(Resource::RLIMIT_NOFILE, most, most) {
        Ok(()) => most,
        Err(error) => {
            log::debug!("the limit of open files stays as it is: {error}");
            usual
        }
    };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// How many connections there may be at a time: as many as wanted, or as many as leave files for everything
/// else. A server without files can reach neither its database nor anything else.
///
/// # Errors
/// When not even one is left.
pub(super) fn connections(
    wanted: usize,
    limit: usize,
    workers: usize,
    pool_size: u32,
) -> Result<usize, Failure> {
    // The number is shared among the threads, and rounded up.
    let own = OF_THE_PROGRAM + workers * (OF_A_WORKER + 1) + pool_size as usize;
    let remedy = format!(
        "raise it (LimitNOFILE= of systemd, ulimit -n), best to {}",
        own + wanted
    );
    match limit.saturating_sub(own) {
        0 => Err(Failure::failed(format!(
            "no more than {limit} files may be open, and {own} are needed before the first connection: {remedy}"
        ))),
        left if left < wanted => {
            log::warn!(
                "no more than {limit} files may be open, so there will be {left} connections at a time and not \
                 {wanted}: {remedy}, or lower --max-connections"
            );
            Ok(left)
        }
        _ => Ok(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured_log;

    #[test]
    fn connections_leave_files_for_everything_else_and_it_is_said() {
        captured_log::start();
        captured_log::lines();
        let of = |limit| connections(20_000, limit, 4, 10).ok();
        assert_eq!(of(524_288), Some(20_000));
        assert_eq!(of(usize::MAX), Some(20_000));
        assert!(captured_log::lines().is_empty());
        let left = of(1_024).unwrap();
        assert!((800..1_000).contains(&left), "{left}");
        let log = captured_log::lines();
        assert_eq!(log.len(), 1);
        assert!(
            log[0].contains("LimitNOFILE") && log[0].contains("--max-connections"),
            "{log:?}"
        );
        assert_eq!((of(64), of(0)), (None, None));
    }
}
