//! Reports the program's state to systemd, or another supervisor that set `NOTIFY_SOCKET`: the protocol of
//! sd_notify(3), in one datagram.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The program's state.
#[derive(Clone, Copy)]
pub(super) enum State {
    /// It answers requests.
    Ready,
    /// It was told to stop, and stops.
    Stopping,
}

/// Reports the state if `NOTIFY_SOCKET` is set. A failure is only logged, because it is no reason to fail.
pub(super) fn tell(state: State) {
    let Some(place) = std::env::var_os("NOTIFY_SOCKET").filter(|place| !place.is_empty()) else {
        return;
    };
    let words = match state {
        State::Ready => "READY=1",
        State::Stopping => "STOPPING=1",
    };
    let told =
        address(&place).and_then(|address| UnixDatagram::unbound()?.send_to_addr(words.as_bytes(), &address));
    if let Err(error) = told {
        log::warn!("NOTIFY_SOCKET cannot be told {words}: {error}");
    }
}

/// A path, or after an `@` a name in Linux's abstract namespace.
fn address(place: &OsStr) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = place.as_bytes().strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(place)
}
